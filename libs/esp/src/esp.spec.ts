import { createDecipheriv, createHmac, randomBytes } from "node:crypto";
import { ENCRYPTION, type EncryptionAlgorithm, INTEGRITY, type IntegrityAlgorithm } from "@sallyport/base";
import fc from "fast-check";
import { createEsp, type EspParameters, OpenRefusal } from "./index.js";

const SPI = 0xc0ff_ee01;
const encryptions = Object.keys(ENCRYPTION) as EncryptionAlgorithm[];
const integrities = Object.keys(INTEGRITY) as IntegrityAlgorithm[];

/** Every combination that an SA may have, with every key size. */
const suites: { name: string; parameters: EspParameters }[] = encryptions.flatMap((algorithm) =>
  ENCRYPTION[algorithm].keyBits.flatMap((bits) =>
    (ENCRYPTION[algorithm].icvBytes > 0 ? [undefined] : integrities).flatMap((integrity) =>
      [false, true].map((esn) => ({
        name: `${algorithm}-${bits}${integrity ? ` ${integrity}` : ""}${esn ? " esn" : ""}`,
        parameters: {
          spi: SPI,
          encryption: { algorithm, key: randomBytes(bits / 8 + ENCRYPTION[algorithm].saltBytes) },
          ...(integrity && { integrity: { algorithm: integrity, key: randomBytes(INTEGRITY[integrity].keyBytes) } }),
          esn,
        },
      })),
    ),
  ),
);

const u32 = fc.nat(0xffff_ffff);

describe.each(suites)("$name", ({ parameters }) => {
  const sender = createEsp(parameters);
  const receiver = createEsp(parameters);
  const seal = (payload: Uint8Array, nextHeader: number, high: number, low: number) => {
    const target = new Uint8Array(sender.sealedBytes(payload.length) + 10).fill(0xee);
    const length = sender.seal(target, 5, payload, nextHeader, parameters.esn ? high : 0, low);
    expect(length).toBe(sender.sealedBytes(payload.length));
    expect([...target.subarray(0, 5), ...target.subarray(5 + length)]).toEqual(Array(10).fill(0xee));
    return target.slice(5, 5 + length);
  };

  it("carries any payload", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3000 }), fc.nat(255), u32, u32, (payload, nextHeader, high, low) => {
        const packet = seal(payload, nextHeader, high, low);
        const view = new DataView(packet.buffer);
        expect([view.getUint32(0), view.getUint32(4)]).toEqual([SPI, low]);
        expect(packet.length % 4).toBe(0);
        const length = receiver.open(packet, parameters.esn ? high : 0);
        expect(length).toBe(payload.length);
        expect(receiver.nextHeader).toBe(nextHeader);
        const start = 8 + receiver.ivBytes;
        expect(Buffer.compare(packet.subarray(start, start + length), payload)).toBe(0);
      }),
      { numRuns: 20 },
    );
  });

  it("refuses any flipped bit and leaves the packet as it came", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(), u32, u32, (payload, at, high, low) => {
        const packet = seal(payload, 4, high, low);
        const bit = at % (packet.length * 8);
        packet[bit >>> 3] = (packet[bit >>> 3] as number) ^ (1 << (bit & 7));
        const before = Uint8Array.from(packet);
        // A flipped SPI names another SA before any ICV is looked at; an AEAD binds its own.
        if (bit < 32 && ENCRYPTION[parameters.encryption.algorithm].icvBytes > 0) return;
        expect(receiver.open(packet, parameters.esn ? high : 0)).toBe(OpenRefusal.integrity);
        expect(packet).toEqual(before);
      }),
      { numRuns: 20 },
    );
  });

  it("refuses any octets that are no packet, without throwing", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), (octets) => {
        expect([OpenRefusal.malformed, OpenRefusal.integrity]).toContain(receiver.open(octets, 0));
      }),
      { numRuns: 20 },
    );
  });
});

describe("what the wire shows", () => {
  const key = randomBytes(36);
  const gcm = createEsp({ spi: SPI, encryption: { algorithm: "aes-gcm-16", key }, esn: false });

  it("pads with 1, 2, 3 … to a multiple of four (RFC 4303 §2.4)", () => {
    const esp = createEsp({
      spi: SPI,
      encryption: { algorithm: "null", key: new Uint8Array(0) },
      integrity: { algorithm: "hmac-sha1-96", key: randomBytes(20) },
      esn: false,
    });
    const packet = new Uint8Array(esp.sealedBytes(5));
    esp.seal(packet, 0, Uint8Array.of(9, 9, 9, 9, 9), 41, 0, 1);
    expect([...packet.subarray(8, 16)]).toEqual([9, 9, 9, 9, 9, 1, 1, 41]);
  });

  it("seals a payload that already stands at its place", () => {
    const payload = randomBytes(100);
    const apart = new Uint8Array(gcm.sealedBytes(100));
    gcm.seal(apart, 0, payload, 4, 0, 7);
    const inPlace = new Uint8Array(gcm.sealedBytes(100));
    inPlace.set(payload, 16);
    gcm.seal(inPlace, 0, inPlace.subarray(16, 116), 4, 0, 7);
    expect(inPlace).toEqual(apart);
  });

  it("agrees with AES-CBC and HMAC-SHA-256 taken straight from OpenSSL, packet after packet", () => {
    const cipherKey = randomBytes(32);
    const macKey = randomBytes(32);
    const esp = createEsp({
      spi: SPI,
      encryption: { algorithm: "aes-cbc", key: cipherKey },
      integrity: { algorithm: "hmac-sha2-256-128", key: macKey },
      esn: true,
    });
    const ivs = new Set<string>();
    for (let low = 1; low <= 20; low++) {
      const payload = randomBytes(low * 13);
      const packet = Buffer.alloc(esp.sealedBytes(payload.length));
      esp.seal(packet, 0, payload, 4, 3, low);
      const end = packet.length - 16;
      const icv = createHmac("sha256", macKey)
        .update(packet.subarray(0, end))
        .update(Uint8Array.of(0, 0, 0, 3))
        .digest();
      expect(packet.subarray(end).equals(icv.subarray(0, 16))).toBe(true);
      const iv = packet.subarray(8, 24);
      ivs.add(iv.toString("hex"));
      const text = createDecipheriv("aes-256-cbc", cipherKey, iv)
        .setAutoPadding(false)
        .update(packet.subarray(24, end));
      expect(text.subarray(0, payload.length).equals(payload)).toBe(true);
    }
    expect(ivs.size).toBe(20);
  });

  it("never uses an IV twice under one key", () => {
    const seen = new Set<string>();
    for (let low = 1; low <= 1000; low++) {
      const packet = Buffer.alloc(gcm.sealedBytes(0));
      gcm.seal(packet, 0, new Uint8Array(0), 59, 0, low);
      seen.add(packet.toString("hex", 8, 16));
    }
    expect(seen.size).toBe(1000);
  });

  it("refuses a pad length that reaches before the payload", () => {
    const icvKey = randomBytes(20);
    const esp = createEsp({
      spi: SPI,
      encryption: { algorithm: "null", key: new Uint8Array(0) },
      integrity: { algorithm: "hmac-sha1-96", key: icvKey },
      esn: false,
    });
    const body = Uint8Array.of(0xc0, 0xff, 0xee, 1, 0, 0, 0, 1, 0, 0, 3, 4);
    const icv = createHmac("sha1", icvKey).update(body).digest().subarray(0, 12);
    expect(esp.open(Uint8Array.from([...body, ...icv]), 0)).toBe(OpenRefusal.padding);
  });
});

describe("parameters", () => {
  const integrity = { algorithm: "hmac-sha2-256-128", key: new Uint8Array(32) } as const;
  it.each([
    ["a short key", "esp/bad-key", { algorithm: "aes-gcm-16", key: new Uint8Array(19) }, undefined],
    ["a key without salt", "esp/bad-key", { algorithm: "aes-gcm-16", key: new Uint8Array(16) }, undefined],
    [
      "a short MAC key",
      "esp/bad-key",
      { algorithm: "aes-cbc", key: new Uint8Array(16) },
      { ...integrity, key: new Uint8Array(31) },
    ],
    [
      "an unknown encryption",
      "esp/unknown-algorithm",
      { algorithm: "toString" as "null", key: new Uint8Array(16) },
      undefined,
    ],
    [
      "an unknown integrity",
      "esp/unknown-algorithm",
      { algorithm: "null", key: new Uint8Array(0) },
      { ...integrity, algorithm: "rot-13" as "aes-cmac-96" },
    ],
    ["no integrity", "esp/bad-combination", { algorithm: "aes-cbc", key: new Uint8Array(16) }, undefined],
    ["two integrities", "esp/bad-combination", { algorithm: "aes-gcm-16", key: new Uint8Array(20) }, integrity],
  ] as const)("with %s are refused", (_what, code, encryption, mac) => {
    expect(() => createEsp({ spi: SPI, encryption, integrity: mac, esn: false })).toThrow(
      expect.objectContaining({ code }),
    );
  });
});
