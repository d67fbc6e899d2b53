import { ENCRYPTION, type EncryptionAlgorithm, INTEGRITY, type IntegrityAlgorithm } from "@sallyport/base";
import { PRF } from "./algorithms.js";
import { concat, u64 } from "./bytes.js";
import { prf, prfPlus } from "./prf.js";
import type { ChildKeyInput, ChildKeys, IkeKeyInput, IkeKeys, IkeRekeyInput, PrfAlgorithm } from "./types.js";

function encryptionKeyBytes(algorithm: EncryptionAlgorithm | undefined, keyBits: number): number {
  return algorithm ? keyBits / 8 + ENCRYPTION[algorithm].saltBytes : 0;
}

function integrityKeyBytes(algorithm: IntegrityAlgorithm | undefined): number {
  return algorithm ? INTEGRITY[algorithm].keyBytes : 0;
}

/** Cuts `material` into consecutive views of the sizes given. */
function cut<N extends number[]>(material: Uint8Array, ...sizes: N): { [K in keyof N]: Uint8Array } {
  let at = 0;
  return sizes.map((size) => {
    at += size;
    return material.subarray(at - size, at);
  }) as { [K in keyof N]: Uint8Array };
}

/** SKEYSEED = prf(Ni | Nr, g^ir) and the seven keys from it, RFC 7296 §2.14. */
export function deriveIkeKeys(input: IkeKeyInput): IkeKeys {
  const { ni, nr, suite } = input;
  const nonces = PRF[suite.prf].fixedKey ? concat(ni.subarray(0, 8), nr.subarray(0, 8)) : concat(ni, nr);
  return expand(input, prf(suite.prf, nonces, input.sharedSecret));
}

/** SKEYSEED = prf(SK_d (old), g^ir (new) | Ni | Nr) with the old SA's PRF, RFC 7296 §2.18. */
export function deriveRekeyedIkeKeys(input: IkeRekeyInput): IkeKeys {
  return expand(input, prf(input.oldPrf, input.oldD, input.sharedSecret, input.ni, input.nr));
}

function expand(input: IkeKeyInput, skeyseed: Uint8Array): IkeKeys {
  const { suite, ni, nr, initiatorSpi, responderSpi } = input;
  const p = PRF[suite.prf].keyBytes;
  const a = integrityKeyBytes(suite.integrity);
  const e = encryptionKeyBytes(suite.encryption, suite.keyBits);
  const seed = concat(ni, nr, u64(initiatorSpi, responderSpi));
  const material = prfPlus(suite.prf, skeyseed, seed, 3 * p + 2 * a + 2 * e);
  skeyseed.fill(0);
  const [d, ai, ar, ei, er, pi, pr] = cut(material, p, a, a, e, e, p, p);
  return { d, ai, ar, ei, er, pi, pr };
}

/** SK_d, SK_pi and SK_pr with a PPK mixed in: prf+(PPK, each of them), RFC 8784 §3. The others stay. */
export function mixPpk(algorithm: PrfAlgorithm, ppk: Uint8Array, keys: IkeKeys): IkeKeys {
  const { keyBytes } = PRF[algorithm];
  const mix = (key: Uint8Array) => prfPlus(algorithm, ppk, key, keyBytes);
  return { ...keys, d: mix(keys.d), pi: mix(keys.pi), pr: mix(keys.pr) };
}

/** KEYMAT = prf+(SK_d, [g^ir (new) |] Ni | Nr), RFC 7296 §2.17: per direction the encryption key, then the integrity key. */
export function deriveChildKeys(input: ChildKeyInput): ChildKeys {
  const { suite, sharedSecret, ni, nr } = input;
  const e = encryptionKeyBytes(suite.encryption, suite.keyBits);
  const a = integrityKeyBytes(suite.integrity);
  const seed = sharedSecret ? concat(sharedSecret, ni, nr) : concat(ni, nr);
  const material = prfPlus(input.prf, input.d, seed, 2 * (e + a));
  if (sharedSecret) seed.fill(0);
  const [ei, ai, er, ar] = cut(material, e, a, e, a);
  return {
    initiator: { encryption: ei, integrity: ai },
    responder: { encryption: er, integrity: ar },
  };
}

const NOTHING = new Uint8Array(0);

/** What an IKE SA still needs once both ends are authenticated: SK_d. Its protector has what protects messages. */
export function lastingKeys({ d }: IkeKeys): IkeKeys {
  return { d: d.slice(), ai: NOTHING, ar: NOTHING, ei: NOTHING, er: NOTHING, pi: NOTHING, pr: NOTHING };
}

/** Overwrites them. */
export function wipeKeys(keys: IkeKeys): void {
  for (const key of Object.values(keys) as Uint8Array[]) key.fill(0);
}
