import { createHmac } from "node:crypto";
import { type IkeKeys, mixPpk, type PrfAlgorithm } from "./index.js";

const keyOf = (length: number, first: number) => Uint8Array.from({ length }, (_, i) => (first + i) & 0xff);

/** RFC 7296 §2.13 written down again: T1 = prf(K, S | 1), T2 = prf(K, T1 | S | 2) … */
function prfPlus(hash: string, key: Uint8Array, seed: Uint8Array, length: number): Buffer {
  let all = Buffer.alloc(0);
  let last = Buffer.alloc(0);
  for (let n = 1; all.length < length; n++) {
    last = createHmac(hash, key).update(last).update(seed).update(Uint8Array.of(n)).digest();
    all = Buffer.concat([all, last]);
  }
  return all.subarray(0, length);
}

test.each<[PrfAlgorithm, string, number]>([
  ["hmac-sha1", "sha1", 20],
  ["hmac-sha2-256", "sha256", 32],
  ["hmac-sha2-384", "sha384", 48],
  ["hmac-sha2-512", "sha512", 64],
])("%s: SK_d, SK_pi and SK_pr are prf+(PPK, each), the others as they were (RFC 8784 §3)", (prf, hash, size) => {
  const ppk = keyOf(50, 7);
  const keys: IkeKeys = {
    d: keyOf(size, 1),
    pi: keyOf(size, 2),
    pr: keyOf(size, 3),
    ai: keyOf(size, 4),
    ar: keyOf(size, 5),
    ei: keyOf(32, 6),
    er: keyOf(32, 8),
  };
  const mixed = mixPpk(prf, ppk, keys);
  for (const name of ["d", "pi", "pr"] as const) {
    expect(Buffer.from(mixed[name])).toEqual(prfPlus(hash, ppk, keys[name], size));
  }
  expect(mixed).toMatchObject({ ai: keys.ai, ar: keys.ar, ei: keys.ei, er: keys.er });
});
