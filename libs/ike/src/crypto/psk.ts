import { timingSafeEqual } from "node:crypto";
import { concat } from "./bytes.js";
import { prf } from "./prf.js";
import type { AuthOctetsInput, PrfAlgorithm } from "./types.js";

const KEY_PAD = new TextEncoder().encode("Key Pad for IKEv2");

/** <message> | <other side's nonce> | prf(SK_p, <rest of ID payload>), RFC 7296 §2.15. */
export function authOctets(input: AuthOctetsInput): Uint8Array {
  const id = concat(Uint8Array.of(input.idType, 0, 0, 0), input.idData);
  return concat(input.message, input.nonce, prf(input.prf, input.skP, id));
}

/** prf(secret, "Key Pad for IKEv2") by secret and PRF; goes when the secret does. */
const padded = new WeakMap<Uint8Array, Map<PrfAlgorithm, Uint8Array>>();

function keyPad(algorithm: PrfAlgorithm, secret: Uint8Array): Uint8Array {
  const known = padded.get(secret) ?? new Map<PrfAlgorithm, Uint8Array>();
  padded.set(secret, known);
  const key = known.get(algorithm) ?? prf(algorithm, secret, KEY_PAD);
  known.set(algorithm, key);
  return key;
}

/** AUTH data of method SHARED_KEY: prf(prf(secret, "Key Pad for IKEv2"), octets), RFC 7296 §2.15. `secret` must not change afterwards. */
export function pskAuth(algorithm: PrfAlgorithm, secret: Uint8Array, octets: Uint8Array): Uint8Array {
  return prf(algorithm, keyPad(algorithm, secret), octets);
}

/** Compares in constant time. An empty secret proves nothing and never matches. */
export function verifyPskAuth(
  algorithm: PrfAlgorithm,
  secret: Uint8Array,
  octets: Uint8Array,
  data: Uint8Array,
): boolean {
  const expected = pskAuth(algorithm, secret, octets);
  return secret.length > 0 && data.length === expected.length && timingSafeEqual(expected, data);
}
