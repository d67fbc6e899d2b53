import { ENCRYPTION, type EncryptionAlgorithm, INTEGRITY, type IntegrityAlgorithm, type Rng } from "@sallyport/base";
import fc from "fast-check";
import { header, innerPayloads, mutate, mutations } from "../wire/arbitraries.spec-helper.js";
import {
  addFragment,
  decodeInner,
  decodeMessage,
  encodeInner,
  type Header,
  type Message,
  type Payload,
  type Reassembly,
} from "../wire/index.js";
import { bodyCipher } from "./cipher.js";
import { deriveIkeKeys, type IkeKeys, type IkeSuite, protector } from "./index.js";

const HEADER: Header = {
  initiatorSpi: 1n,
  responderSpi: 2n,
  exchange: 35,
  initiator: true,
  response: false,
  messageId: 1,
};

/** Octets that look random, the same ones in every run. */
function counting(): Rng {
  let n = 1;
  const next = () => {
    n = (Math.imul(n, 1664525) + 1013904223) >>> 0;
    return n >>> 24;
  };
  return { bytes: (size) => new Uint8Array(size).map(next) };
}

/** Every cipher with every key size, and every integrity algorithm. */
function suites(): IkeSuite[] {
  const common = { prf: "hmac-sha2-256", group: "x25519" } as const;
  const ciphers = (Object.keys(ENCRYPTION) as EncryptionAlgorithm[])
    .filter((encryption) => encryption !== "null")
    .flatMap((encryption) => ENCRYPTION[encryption].keyBits.map((keyBits) => ({ encryption, keyBits, ...common })));
  const aead = ({ encryption }: { encryption: EncryptionAlgorithm }) => ENCRYPTION[encryption].icvBytes > 0;
  return [
    ...ciphers.map((c): IkeSuite => (aead(c) ? c : { ...c, integrity: "hmac-sha2-512-256" })),
    ...(Object.keys(INTEGRITY) as IntegrityAlgorithm[]).map(
      (integrity): IkeSuite => ({ encryption: "aes-cbc", keyBits: 128, integrity, ...common }),
    ),
  ];
}

const name = (s: IkeSuite) => `${s.encryption}-${s.keyBits}${s.integrity ? ` ${s.integrity}` : ""}`;

function keysOf(suite: IkeSuite, secret = 7): IkeKeys {
  return deriveIkeKeys({
    suite,
    sharedSecret: new Uint8Array(32).fill(secret),
    ni: new Uint8Array(32).fill(1),
    nr: new Uint8Array(32).fill(2),
    initiatorSpi: 1n,
    responderSpi: 2n,
  });
}

function ends(suite: IkeSuite, secret = 7) {
  const keys = keysOf(suite, secret);
  return { initiator: protector(suite, keys, true), responder: protector(suite, keys, false) };
}

const integrityFault = expect.objectContaining({
  code: "ike/integrity",
  message: "the encrypted payload does not verify",
});

describe.each(suites().map((suite) => [name(suite), suite] as const))("%s", (_name, suite) => {
  const { initiator, responder } = ends(suite);
  const rng = counting();

  it("opens at the other end what was sealed at one, and nowhere else", () => {
    fc.assert(
      fc.property(header, innerPayloads, (h, payloads) => {
        const sealed = decodeMessage(initiator.seal(h, payloads, rng));
        expect(sealed.header).toEqual(h);
        expect(sealed.encrypted?.kind).toBe("SK");
        const plaintext = responder.open(sealed);
        expect(decodeInner(sealed.encrypted?.firstPayload ?? -1, plaintext)).toEqual(payloads);
        expect(sealed.bytes.length).toBeLessThanOrEqual(
          28 + encodeInner(payloads).plaintext.length + responder.overhead,
        );
        expect(() => initiator.open(sealed)).toThrow(integrityFault);
        expect(() => ends(suite, 8).responder.open(sealed)).toThrow(integrityFault);
      }),
      { numRuns: 15 },
    );
  });

  it("refuses any change, and any length, with one and the same fault", () => {
    const payload: Payload = { kind: "Nonce", data: new Uint8Array(20) };
    const sealed = initiator.seal(HEADER, [payload], rng);
    fc.assert(
      fc.property(mutations, (steps) => {
        const bytes = mutate(sealed, steps);
        if (Buffer.compare(bytes, sealed) === 0 || bytes.length < 33) return;
        const forged: Message = { ...decodeMessage(sealed), bytes };
        expect(() => responder.open(forged)).toThrow(integrityFault);
      }),
      { numRuns: 40 },
    );
    for (let n = 32; n < sealed.length; n++) {
      const cut: Message = { ...decodeMessage(sealed), bytes: sealed.subarray(0, n) };
      expect(() => responder.open(cut)).toThrow(integrityFault);
    }
  });
});

const SAMPLES: readonly IkeSuite[] = [
  { encryption: "aes-gcm-16", keyBits: 256, prf: "hmac-sha2-256", group: "x25519" },
  { encryption: "aes-cbc", keyBits: 128, integrity: "hmac-sha2-256-128", prf: "hmac-sha2-256", group: "x25519" },
  { encryption: "aes-ctr", keyBits: 192, integrity: "hmac-sha1-96", prf: "hmac-sha2-256", group: "x25519" },
];

describe.each(SAMPLES.map((suite) => [name(suite), suite] as const))("fragments of %s", (_name, suite) => {
  const { initiator, responder } = ends(suite);
  const rng = counting();

  it("never pass the size that was asked for, and come back whole", () => {
    fc.assert(
      fc.property(innerPayloads, fc.integer({ min: 120, max: 1500 }), (payloads, maxBytes) => {
        const messages = initiator.sealFragments(HEADER, payloads, rng, maxBytes).map((bytes) => decodeMessage(bytes));
        let state: Reassembly | undefined;
        let inner: Payload[] | undefined;
        for (const m of messages) {
          expect(m.bytes.length).toBeLessThanOrEqual(maxBytes);
          const plaintext = responder.open(m);
          const { encrypted } = m;
          if (!encrypted?.fragment) {
            expect(messages).toHaveLength(1);
            inner = decodeInner(encrypted?.firstPayload ?? 0, plaintext);
            continue;
          }
          const { fragment } = encrypted;
          expect(fragment.total).toBe(messages.length);
          const { reassembly, complete } = addFragment(state, { ...encrypted, fragment }, plaintext);
          state = reassembly;
          if (complete) inner = decodeInner(complete.firstPayload, complete.plaintext);
        }
        expect(inner).toEqual(payloads);
      }),
    );
  });

  it("fill their size before there is another one", () => {
    const cert: Payload = { kind: "CERT", encoding: 4, data: new Uint8Array(3000) };
    const messages = initiator.sealFragments(HEADER, [cert], rng, 1200);
    expect(messages).toHaveLength(3);
    for (const m of messages.slice(0, -1)) expect(m.length).toBeGreaterThan(1200 - 17);
  });

  it("are bound to their number and total", () => {
    const cert: Payload = { kind: "CERT", encoding: 4, data: new Uint8Array(3000) };
    const [first] = initiator.sealFragments(HEADER, [cert], rng, 1200) as [Uint8Array];
    for (const at of [33, 35]) {
      const forged = Uint8Array.from(first);
      forged[at] = (forged[at] ?? 0) + 1;
      expect(() => responder.open({ ...decodeMessage(first), bytes: forged })).toThrow(integrityFault);
    }
  });

  it("are refused when they would be too many", () => {
    const cert: Payload = { kind: "CERT", encoding: 4, data: new Uint8Array(30_000) };
    for (const size of [300, 60, 0]) {
      expect(() => initiator.sealFragments(HEADER, [cert], rng, size)).toThrow(
        expect.objectContaining({ code: "ike/too-large", field: "SKF" }),
      );
    }
  });

  it("never use an IV twice, wherever the rng starts", () => {
    const cert: Payload = { kind: "CERT", encoding: 4, data: new Uint8Array(2000) };
    const stuck: Rng = suite.encryption === "aes-cbc" ? counting() : { bytes: (n) => new Uint8Array(n).fill(0xff) };
    const { initiator: fresh } = ends(suite);
    const seen = new Set<string>();
    let count = 0;
    for (let i = 0; i < 50; i++) {
      for (const bytes of [...fresh.sealFragments(HEADER, [cert], stuck, 600), fresh.seal(HEADER, [], stuck)]) {
        const at = decodeMessage(bytes).encrypted?.bodyOffset ?? 0;
        seen.add(Buffer.from(bytes.subarray(at, at + (suite.encryption === "aes-cbc" ? 16 : 8))).toString("hex"));
        count++;
      }
    }
    expect(seen.size).toBe(count);
  });
});

it("refuses a padding longer than the plaintext, though its ICV is right", () => {
  const suite = SAMPLES[0] as IkeSuite;
  const { initiator, responder } = ends(suite);
  const bytes = Uint8Array.from(initiator.seal(HEADER, [], counting()));
  const { encrypted } = decodeMessage(bytes);
  const sealWith = (padLength: number) => {
    bytes[bytes.length - 17] = padLength;
    const keys = { encryption: keysOf(suite).ei, integrity: new Uint8Array(0) };
    bodyCipher(suite.encryption, suite.keyBits, undefined).seal(keys, bytes, encrypted?.bodyOffset ?? 0);
    return decodeMessage(bytes);
  };
  expect(responder.open(sealWith(0))).toHaveLength(0);
  expect(() => responder.open(sealWith(1))).toThrow(integrityFault);
  expect(() => responder.open(sealWith(255))).toThrow(integrityFault);
});

it("neither seals nor opens as before once its keys are wiped", () => {
  const { initiator, responder } = ends(SAMPLES[0] as IkeSuite);
  const sealed = decodeMessage(initiator.seal(HEADER, [], counting()));
  responder.wipe();
  expect(() => responder.open(sealed)).toThrow(integrityFault);
});
