/** Everything that holds over node:crypto holds over native code, and both give the same octets. */
import { randomBytes } from "node:crypto";
import { ENCRYPTION, type EncryptionAlgorithm } from "@sallyport/base";
import { IkePrimitives } from "@sallyport/linux-io";
import fc from "fast-check";
import { bodyCipher } from "./cipher.js";
import {
  DH,
  type DhGroup,
  generate,
  type PrfAlgorithm,
  type Primitives,
  prf,
  prfPlus,
  respond,
  shared,
  usePrimitives,
} from "./index.js";

const native: Primitives = new IkePrimitives();
const inBoth = <T>(compute: () => T): [T, T] => {
  usePrimitives(undefined);
  const reference = compute();
  usePrimitives(native);
  return [compute(), reference];
};

const octets = (maxLength: number) => fc.uint8Array({ maxLength });
const prfs: readonly PrfAlgorithm[] = ["hmac-md5", "hmac-sha1", "hmac-sha2-256", "hmac-sha2-384", "hmac-sha2-512"];
const aeads = (Object.keys(ENCRYPTION) as EncryptionAlgorithm[])
  .filter((name) => ENCRYPTION[name].icvBytes > 0)
  .flatMap((name) => ENCRYPTION[name].keyBits.map((keyBits) => [name, keyBits] as const));
const curves = (Object.keys(DH) as DhGroup[]).filter((group) => DH[group].kind !== "modp");

usePrimitives(native);
for (const name of ["vectors", "dh", "sk", "psk", "ppk", "recordings"]) await import(`./${name}.spec.js`);

it("has every HMAC, curve and AEAD natively", () => {
  expect(["md5", "sha1", "sha256", "sha384", "sha512"].filter((hash) => !native.prf(hash))).toEqual([]);
  expect(curves.filter((group) => !native.exchange(DH[group]))).toEqual([]);
  expect(aeads.filter(([name, keyBits]) => !native.aead(name, keyBits))).toEqual([]);
});

it("lacks what OpenSSL lacks", () => {
  expect(native.prf("md4")).toBeUndefined();
  expect(native.exchange(DH.modp2048)).toBeUndefined();
  expect(native.exchange({ ...DH.ecp256, native: "no such curve" })).toBeUndefined();
  expect(native.aead("aes-cbc", 128)).toBeUndefined();
});

describe.each(prfs)("%s", (algorithm) => {
  it("is the same for keys and data of any size", () => {
    fc.assert(
      fc.property(octets(300), fc.array(octets(200), { maxLength: 3 }), (key, data) => {
        const [ours, reference] = inBoth(() => prf(algorithm, key, ...data));
        expect(Buffer.from(ours)).toEqual(Buffer.from(reference));
      }),
    );
  });

  it("is the same for data that is longer than the room kept for it", () => {
    const [ours, reference] = inBoth(() => prf(algorithm, Uint8Array.of(1), new Uint8Array(70_000).fill(2)));
    expect(Buffer.from(ours)).toEqual(Buffer.from(reference));
  });

  it("expands alike, to the last of 255 outputs", () => {
    fc.assert(
      fc.property(octets(200), octets(300), fc.nat(255 * 16), (key, seed, size) => {
        const [ours, reference] = inBoth(() => prfPlus(algorithm, key, seed, size));
        expect(Buffer.from(ours)).toEqual(Buffer.from(reference));
      }),
    );
    const [ours, reference] = inBoth(() => prfPlus(algorithm, Uint8Array.of(1), Uint8Array.of(2), 255 * 16));
    expect(Buffer.from(ours)).toEqual(Buffer.from(reference));
  });
});

describe.each(curves)("%s", (group) => {
  it("agrees with node:crypto's end of the exchange", () => {
    for (let i = 0; i < 20; i++) {
      usePrimitives(undefined);
      const peer = generate(group);
      usePrimitives(native);
      const answer = respond(group, peer.publicValue);
      expect(Buffer.from(answer.shared)).toEqual(Buffer.from(shared(peer, answer.publicValue)));
    }
  });

  it("refuses the same values for the same reason, and works on afterwards", () => {
    const { publicValue } = generate(group);
    const refusal = (value: Uint8Array) => {
      try {
        respond(group, value);
      } catch (error) {
        return (error as Error).message;
      }
      return "taken";
    };
    fc.assert(
      fc.property(
        fc.oneof(
          octets(2 * DH[group].publicBytes),
          fc.uint8Array({ minLength: DH[group].publicBytes, maxLength: DH[group].publicBytes }),
          fc.constantFrom(0, 1, 0xff).map((octet) => new Uint8Array(DH[group].publicBytes).fill(octet)),
          fc
            .nat(8 * publicValue.length - 1)
            .map((bit) => publicValue.map((octet, i) => (i === bit >> 3 ? octet ^ (1 << (bit & 7)) : octet))),
        ),
        (value) => {
          const [ours, reference] = inBoth(() => refusal(value));
          expect(ours).toBe(reference);
          expect(refusal(publicValue)).toBe("taken");
        },
      ),
      { numRuns: 50 },
    );
  });
});

describe.each(aeads)("%s %i", (name, keyBits) => {
  const cipher = bodyCipher(name, keyBits, undefined);
  const around = cipher.ivBytes + cipher.icvBytes;

  it("seals alike, opens what the other sealed, and refuses what was changed", () => {
    fc.assert(
      fc.property(fc.nat(80), octets(300), fc.nat(), (bodyOffset, text, place) => {
        const keys = {
          encryption: Uint8Array.from(randomBytes(keyBits / 8 + ENCRYPTION[name].saltBytes)),
          integrity: new Uint8Array(0),
        };
        const plain = Buffer.concat([randomBytes(bodyOffset + cipher.ivBytes), text, Buffer.alloc(cipher.icvBytes)]);
        const [ours, reference] = inBoth(() => {
          const message = Uint8Array.from(plain);
          cipher.seal(keys, message, bodyOffset);
          return message;
        });
        expect(Buffer.from(ours)).toEqual(Buffer.from(reference));
        for (const opened of inBoth(() => cipher.open(keys, reference, bodyOffset))) {
          expect(Buffer.from(opened ?? [255])).toEqual(Buffer.from(text));
        }
        const at = place % ours.length;
        ours[at] = (ours[at] ?? 0) ^ 1;
        expect(inBoth(() => cipher.open(keys, ours, bodyOffset))).toEqual([undefined, undefined]);
        expect(ours.length).toBe(bodyOffset + text.length + around);
      }),
      { numRuns: 50 },
    );
  });
});
