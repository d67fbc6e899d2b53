import { randomBytes } from "node:crypto";
import { ENCRYPTION, type EncryptionAlgorithm, INTEGRITY, type IntegrityAlgorithm } from "@sallyport/base";
import { createEsp, type EspParameters } from "@sallyport/esp";
import { ESP_REFUSED, EspBatch, META, META_WORDS } from "@sallyport/linux-io";
import { fastestTransform, type PacketTransform, portableTransform } from "./transform.js";

const SLOT = 2048;
const FRONT = 24;
const native = Object.keys(INTEGRITY).filter((name) => !name.startsWith("aes-")) as IntegrityAlgorithm[];

const suites = (Object.keys(ENCRYPTION) as EncryptionAlgorithm[]).flatMap((algorithm) =>
  ENCRYPTION[algorithm].keyBits.flatMap((bits) =>
    (ENCRYPTION[algorithm].icvBytes > 0 ? [undefined] : native).flatMap((integrity) =>
      [false, true].map((esn) => ({
        name: `${algorithm}-${bits}${integrity ? ` ${integrity}` : ""}${esn ? " esn" : ""}`,
        parameters: {
          spi: 0xfeed_0001,
          encryption: { algorithm, key: randomBytes(bits / 8 + ENCRYPTION[algorithm].saltBytes) },
          integrity: integrity && { algorithm: integrity, key: randomBytes(INTEGRITY[integrity].keyBytes) },
          esn,
        } satisfies EspParameters,
      })),
    ),
  ),
);

function batch(payloads: readonly Uint8Array[]): [Buffer, Uint32Array] {
  const slab = Buffer.alloc(payloads.length * SLOT);
  const meta = new Uint32Array(payloads.length * META_WORDS);
  for (const [i, payload] of payloads.entries()) {
    slab.set(payload, i * SLOT + FRONT);
    meta[i * META_WORDS + META.offset] = i * SLOT + FRONT;
    meta[i * META_WORDS + META.length] = payload.length;
    meta[i * META_WORDS + META.family] = i % 2 === 0 ? 4 : 6;
  }
  return [slab, meta];
}

function opened(transform: PacketTransform, slab: Buffer, meta: Uint32Array, high: number) {
  const [octets, records] = [Buffer.from(slab), Uint32Array.from(meta)];
  const count = records.length / META_WORDS;
  for (let i = 0; i < count; i++) records[i * META_WORDS + META.user] = high;
  transform.open(octets, records, 0, count);
  return Array.from({ length: count }, (_, i) => {
    const word = (name: "offset" | "length" | "user") => records[i * META_WORDS + META[name]] as number;
    const outcome = word("user");
    if (outcome > 0xff) return { outcome };
    return { outcome, payload: octets.toString("hex", word("offset"), word("offset") + word("length")) };
  });
}

describe.each(suites)("$name in native code", ({ parameters }) => {
  const esp = createEsp(parameters);
  const portable = portableTransform(esp);
  const sealing = fastestTransform(parameters, "out", esp);
  const opening = fastestTransform(parameters, "in", esp);
  const high = parameters.esn ? 5 : 0;
  const payloads = [0, 1, 2, 13, 20, 64, 1400].map((length) => randomBytes(length));

  it("is what OpenSSL has", () => {
    expect(EspBatch.create({ ...parameters, direction: "out" })).toBeDefined();
  });

  it("seals to the very octets of the portable code and opens what either sealed", () => {
    const [slab, meta] = batch(payloads);
    const [reference, referenceMeta] = batch(payloads);
    sealing.seal(slab, meta, 0, payloads.length, high, 0xffff_fff0);
    portable.seal(reference, referenceMeta, 0, payloads.length, high, 0xffff_fff0);
    expect(meta).toEqual(referenceMeta);
    expect(slab.equals(reference)).toBe(true);
    const expected = payloads.map((payload, i) => ({
      outcome: i % 2 === 0 ? 4 : 41,
      payload: payload.toString("hex"),
    }));
    expect(opened(opening, slab, meta, high)).toEqual(expected);
    expect(opened(portable, slab, meta, high)).toEqual(expected);
  });

  it("refuses flipped bits and short packets as the portable code does", () => {
    const [slab, meta] = batch(payloads);
    sealing.seal(slab, meta, 0, payloads.length, high, 1);
    for (const [i] of payloads.entries()) {
      const record = i * META_WORDS;
      const at = meta[record + META.offset] as number;
      if (i === 0) meta[record + META.length] = 9;
      else if (i === 1) meta[record + META.length] = (meta[record + META.length] as number) - 1;
      else slab[at + 4 + i * 3] = (slab[at + 4 + i * 3] as number) ^ 0x10;
    }
    const outcomes = opened(opening, slab, meta, high);
    expect(outcomes).toEqual(opened(portable, slab, meta, high));
    expect(outcomes.map(({ outcome }) => outcome)).toEqual([
      ESP_REFUSED.malformed,
      ESP_REFUSED.malformed,
      ...Array(5).fill(ESP_REFUSED.integrity),
    ]);
  });
});

describe.each([["aes-gcm-16", 36, undefined] as const, ["aes-cbc", 16, "aes-xcbc-96"] as const])(
  "a transform of %s",
  (algorithm, size, mac) => {
    const parametersOf = () => ({
      spi: 256,
      encryption: { algorithm, key: Buffer.alloc(size, 1) },
      integrity: mac && { algorithm: mac, key: Buffer.alloc(16, 2) },
      esn: false,
    });
    const sealed = (transform: PacketTransform) => {
      const [slab, meta] = batch([Buffer.alloc(64)]);
      transform.seal(slab, meta, 0, 1, 0, 1);
      return slab;
    };

    it("does not need its maker's keys after it was made", () => {
      const parameters = parametersOf();
      const reference = sealed(portableTransform(createEsp(parametersOf())));
      const transform = fastestTransform(parameters, "out", createEsp(parameters));
      parameters.encryption.key.fill(0);
      parameters.integrity?.key.fill(0);
      expect([sealed(transform), sealed(transform)]).toEqual([reference, reference]);
    });

    it("seals nothing with keys that were overwritten", () => {
      const parameters = parametersOf();
      const transform = fastestTransform(parameters, "out", createEsp(parameters));
      transform.wipe();
      expect(() => sealed(transform)).toThrow(expect.objectContaining({ code: "dataplane/closed" }));
    });
  },
);

describe("EspBatch", () => {
  const key = randomBytes(36);
  const options = { spi: 256, encryption: { algorithm: "aes-gcm-16", key }, esn: false } as const;

  it("leaves AES-XCBC and AES-CMAC to the portable code", () => {
    const integrity = { algorithm: "aes-xcbc-96", key: randomBytes(16) } as const;
    const encryption = { algorithm: "aes-cbc", key: randomBytes(16) } as const;
    expect(EspBatch.create({ ...options, encryption, integrity, direction: "in" })).toBeUndefined();
  });

  it("refuses packets without room and records outside the slab", () => {
    const [slab, meta] = batch([randomBytes(100)]);
    const out = EspBatch.create({ ...options, direction: "out" }) as EspBatch;
    const into = EspBatch.create({ ...options, direction: "in" }) as EspBatch;
    expect(() => out.seal(slab, meta, 0, 2, 0, 1)).toThrow("the records end before");
    meta[META.offset] = 15;
    expect(() => out.seal(slab, meta, 0, 1, 0, 1)).toThrow("lacks headroom");
    meta[META.offset] = SLOT - 100;
    expect(() => out.seal(slab, meta, 0, 1, 0, 1)).toThrow("lacks headroom");
    meta[META.length] = 101;
    expect(() => into.open(slab, meta, 0, 1)).toThrow("outside the slab");
    expect(() => into.seal(slab, meta, 0, 1, 0, 1)).toThrow("of this direction");
  });
});
