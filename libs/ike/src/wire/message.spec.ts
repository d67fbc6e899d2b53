import { Fault } from "@sallyport/base";
import fc from "fast-check";
import {
  clearPayloads,
  header,
  innerPayloads,
  mutate,
  mutations,
  payloads as payloadOf,
} from "./arbitraries.spec-helper.js";
import {
  decodeInner,
  decodeMessage,
  encodeInner,
  encodeMessage,
  HEADER_BYTES,
  type Header,
  LIMITS,
  type Payload,
  type PayloadKind,
  peekHeader,
  spiText,
} from "./index.js";

const HEADER: Header = {
  initiatorSpi: 1n,
  responderSpi: 0n,
  exchange: 34,
  initiator: true,
  response: false,
  messageId: 0,
};

const hex = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(" ", ""), "hex"));

/** A datagram of a header and raw payload octets, with a length that fits. */
function raw(next: number, body: Uint8Array): Uint8Array {
  const message = Uint8Array.of(...encodeMessage(HEADER, []), ...body);
  message[16] = next;
  new DataView(message.buffer).setUint32(24, message.length);
  return message;
}

const fails = (run: () => unknown, code: string, field: string, offset: number) =>
  expect(run).toThrow(expect.objectContaining({ code, field, offset }));

describe("every payload", () => {
  it.each(Object.keys(payloadOf) as PayloadKind[])("%s comes back as it was written", (kind) => {
    fc.assert(
      fc.property(payloadOf[kind] as fc.Arbitrary<Payload>, (payload) => {
        const { firstPayload, plaintext } = encodeInner([payload]);
        expect(decodeInner(firstPayload, plaintext)).toEqual([payload]);
      }),
      { numRuns: 300 },
    );
  });
});

describe("messages", () => {
  it("come back as they were written", () => {
    fc.assert(
      fc.property(header, clearPayloads, (h, payloads) => {
        const bytes = encodeMessage(h, payloads);
        expect(decodeMessage(bytes)).toEqual({ header: h, payloads, bytes });
        expect(peekHeader(bytes)).toEqual({ ...h, majorVersion: 2 });
      }),
    );
  });

  it("of payloads inside SK come back as they were written", () => {
    fc.assert(
      fc.property(innerPayloads, (payloads) => {
        const { firstPayload, plaintext } = encodeInner(payloads);
        expect(decodeInner(firstPayload, plaintext)).toEqual(payloads);
      }),
    );
  });

  it("that were changed and still decode mean the same after encoding", () => {
    fc.assert(
      fc.property(header, clearPayloads, mutations, (h, payloads, steps) => {
        const bytes = mutate(encodeMessage(h, payloads), steps);
        const message = attempt(() => decodeMessage(bytes));
        if (!message || message.encrypted) return;
        const again = decodeMessage(encodeMessage(message.header, message.payloads));
        expect([again.header, again.payloads]).toEqual([message.header, message.payloads]);
      }),
      { numRuns: 500 },
    );
  });
});

/** Undefined for a fault with all that a decoder owes; any other exception passes through and fails the test. */
function attempt<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    const complete = error instanceof Fault && /^ike\//.test(error.code) && error.field && (error.offset ?? -1) >= 0;
    if (!complete) throw error;
    return undefined;
  }
}

describe("hostile octets give a value or a fault with field and offset", () => {
  it("when a valid message was changed", () => {
    fc.assert(
      fc.property(header, clearPayloads, mutations, (h, payloads, steps) => {
        const bytes = mutate(encodeMessage(h, payloads), steps);
        attempt(() => decodeMessage(bytes));
        const sized = Uint8Array.from(bytes);
        if (sized.length >= HEADER_BYTES) new DataView(sized.buffer).setUint32(24, sized.length);
        attempt(() => decodeMessage(sized));
      }),
      { numRuns: 2000 },
    );
  });

  it("when the payloads behind decryption were changed", () => {
    fc.assert(
      fc.property(innerPayloads, mutations, (payloads, steps) => {
        const { firstPayload, plaintext } = encodeInner(payloads);
        attempt(() => decodeInner(firstPayload, mutate(plaintext, steps)));
      }),
      { numRuns: 3000 },
    );
  });

  it("when they are random", () => {
    fc.assert(
      fc.property(fc.nat(255), fc.uint8Array({ maxLength: 300 }), (first, bytes) => {
        attempt(() => decodeMessage(bytes));
        attempt(() => decodeInner(first, bytes));
        attempt(() => decodeMessage(raw(first, bytes)));
      }),
      { numRuns: 3000 },
    );
  });

  it("when a valid message ends early, at every length", () => {
    const samples = fc.sample(fc.tuple(header, clearPayloads), { numRuns: 6, seed: 1 });
    for (const [h, payloads] of samples) {
      const bytes = encodeMessage(h, payloads);
      for (let n = 0; n < bytes.length; n++) {
        expect(() => decodeMessage(bytes.subarray(0, n))).toThrow(
          expect.objectContaining({ code: "ike/malformed-message" }),
        );
        const cut = Uint8Array.from(bytes.subarray(0, n));
        if (n < HEADER_BYTES) continue;
        new DataView(cut.buffer).setUint32(24, n);
        attempt(() => decodeMessage(cut));
      }
    }
  });

  it("in bounded time, for the largest datagrams of the smallest parts", () => {
    const fill = (pattern: string, size: number) => {
      const unit = hex(pattern);
      return Uint8Array.from({ length: size }, (_, i) => unit[i % unit.length] ?? 0);
    };
    const parts = [
      "2b000004",
      "29000008 00004000",
      "21000008 02000008",
      "2c000008 03000004",
      "2f000008 01000000",
      "00",
    ];
    for (const part of parts) {
      for (const first of [33, 41, 42, 43, 44, 47, 48, 99]) {
        const body = fill(part, 65000);
        // The processor's time: that of the wall is others' too.
        const before = process.cpuUsage();
        attempt(() => decodeMessage(raw(first, body)));
        attempt(() => decodeInner(first, body));
        const { user, system } = process.cpuUsage(before);
        expect((user + system) / 1000).toBeLessThan(500);
      }
    }
  });
});

describe("the header", () => {
  const ok = encodeMessage(HEADER, []);
  const changed = (at: number, value: number) => {
    const bytes = Uint8Array.from(ok);
    bytes[at] = value;
    return () => decodeMessage(bytes);
  };

  it("is refused when short, of another version, of another length or without an SPI", () => {
    fails(() => decodeMessage(ok.subarray(0, 27)), "ike/malformed-message", "header.length", 24);
    fails(() => decodeMessage(new Uint8Array(0)), "ike/malformed-message", "header.initiatorSpi", 0);
    fails(changed(17, 0x10), "ike/unsupported-version", "header.version", 17);
    fails(changed(17, 0x30), "ike/unsupported-version", "header.version", 17);
    fails(changed(27, 27), "ike/malformed-message", "header.length", 24);
    fails(changed(24, 0xff), "ike/malformed-message", "header.length", 24);
    fails(changed(7, 0), "ike/malformed-message", "header.initiatorSpi", 0);
    fails(() => decodeMessage(Uint8Array.of(...ok, 0)), "ike/malformed-message", "header.length", 24);
  });

  it("may have a higher minor version and flags that nobody knows", () => {
    expect(changed(17, 0x2f)().header).toEqual(HEADER);
    expect(changed(19, 0xff & ~0x20)().header).toEqual(HEADER);
  });

  it("prints SPIs in full", () => {
    expect(spiText(0x1234n)).toBe("0000000000001234");
  });
});

describe("the chain", () => {
  it("stops at payloads that claim too little, too much or nothing at all", () => {
    fails(() => decodeMessage(raw(43, hex("00000003"))), "ike/malformed-payload", "payload.length", 30);
    fails(() => decodeMessage(raw(43, hex("00000005"))), "ike/malformed-payload", "payload", 32);
    fails(() => decodeMessage(raw(43, hex(""))), "ike/malformed-payload", "payload.next", 28);
    fails(() => decodeMessage(raw(0, hex("2b000004"))), "ike/malformed-payload", "payloads", 28);
    fails(() => decodeMessage(raw(43, hex("00000004 00"))), "ike/malformed-payload", "payloads", 32);
  });

  it("keeps unknown payloads, unless they are critical", () => {
    expect(decodeMessage(raw(99, hex("00000006 abcd"))).payloads).toEqual([
      { kind: "unknown", type: 99, data: hex("abcd") },
    ]);
    expect(() => decodeMessage(raw(99, hex("00800006 abcd")))).toThrow(
      expect.objectContaining({ code: "ike/unsupported-critical-payload", value: "99", offset: 28 }),
    );
    expect(decodeMessage(raw(43, hex("00800006 abcd"))).payloads).toEqual([{ kind: "V", data: hex("abcd") }]);
  });

  it("has no parser in the clear for what belongs inside SK", () => {
    for (const [type, name] of Object.entries({
      35: "IDi",
      37: "CERT",
      39: "AUTH",
      42: "D",
      44: "TSi",
      47: "CP",
      48: "EAP",
    })) {
      fails(() => decodeMessage(raw(Number(type), hex("00000008 00000000"))), "ike/payload-not-allowed", name, 28);
    }
  });

  it("leaves SK closed, and takes nothing behind it", () => {
    const { encrypted } = decodeMessage(raw(46, hex("27000008 01020304")));
    expect(encrypted).toEqual({ kind: "SK", firstPayload: 39, bodyOffset: 32 });
    fails(() => decodeMessage(raw(46, hex("27000008 01020304 00"))), "ike/malformed-payload", "SK", 36);
    for (const type of [46, 53]) {
      fails(
        () => decodeInner(type, hex("00000008 01020304")),
        "ike/payload-not-allowed",
        type === 46 ? "SK" : "SKF",
        0,
      );
    }
  });

  it("checks fragment numbers", () => {
    const skf = (text: string) => () => decodeMessage(raw(53, hex(text)));
    expect(skf("00000009 00020003 ff")().encrypted).toEqual({
      kind: "SKF",
      firstPayload: 0,
      fragment: { number: 2, total: 3 },
      bodyOffset: 36,
    });
    fails(skf("27000009 00000003 ff"), "ike/malformed-payload", "SKF.number", 32);
    fails(skf("00000009 00040003 ff"), "ike/malformed-payload", "SKF.number", 32);
    fails(skf("00000008 00000000"), "ike/malformed-payload", "SKF.number", 32);
    fails(skf("27000009 00020003 ff"), "ike/malformed-payload", "SKF.next", 28);
    fails(skf("27000009 0001ffff ff"), "ike/too-many", "SKF.total", 34);
    fails(skf("27000007 000100"), "ike/malformed-payload", "SKF.total", 34);
  });
});

describe("counts are bounded", () => {
  const repeat = (part: string, count: number) => hex(part.repeat(count));
  const many = (run: () => unknown, field: string) =>
    expect(run).toThrow(expect.objectContaining({ code: "ike/too-many", field }));

  it("payloads", () => {
    const vendors = (n: number) => raw(43, hex(`${"2b000004".repeat(n - 1)}00000004`));
    expect(decodeMessage(vendors(LIMITS.payloads)).payloads).toHaveLength(LIMITS.payloads);
    many(() => decodeMessage(vendors(LIMITS.payloads + 1)), "payloads");
  });

  it("proposals, transforms and attributes", () => {
    const sa = (body: Uint8Array) => {
      const bytes = Uint8Array.of(0, 0, 0, 0, ...body);
      new DataView(bytes.buffer).setUint16(2, bytes.length);
      return () => decodeMessage(raw(33, bytes));
    };
    let proposals = "";
    for (let i = 1; i <= LIMITS.proposals + 1; i++) proposals += `02000008${i.toString(16).padStart(2, "0")}010000`;
    many(sa(hex(proposals)), "SA.proposals");
    many(sa(Uint8Array.of(...hex("00000008 010100ff"), ...repeat("03000008 0100000c", 255))), "SA.proposal.transforms");
    const attributes = "800e0100".repeat(LIMITS.attributes + 1);
    const size = (8 + attributes.length / 2).toString(16).padStart(4, "0");
    const whole = (16 + attributes.length / 2).toString(16).padStart(4, "0");
    many(sa(hex(`0000${whole}01010001 0000${size}0100000c${attributes}`)), "SA.transform.attributes");
  });

  it("selectors, SPIs to delete and configuration attributes", () => {
    many(() => decodeInner(44, hex("00000008 ff000000")), "TSi.selectors");
    many(() => decodeInner(42, hex("00000008 0304ffff")), "D.spis");
    const attributes = "40000000".repeat(LIMITS.configAttributes + 1);
    const size = (8 + attributes.length / 2).toString(16).padStart(4, "0");
    many(() => decodeInner(47, hex(`0000${size}01000000${attributes}`)), "CP.attributes");
  });
});

describe("encoding", () => {
  it("refuses a payload and a message that are too large", () => {
    const tooLarge = expect.objectContaining({ code: "ike/too-large" });
    expect(() => encodeInner([{ kind: "V", data: new Uint8Array(65532) }])).toThrow(tooLarge);
    const half: Payload = { kind: "V", data: new Uint8Array(40000) };
    expect(() => encodeMessage(HEADER, [half, half])).toThrow(tooLarge);
  });
});
