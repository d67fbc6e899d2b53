import { constants, type KeyObject, sign, verify } from "node:crypto";
import { AUTH_METHOD, HASH, nameOf } from "../wire/registry.js";
import { authPrefix, pssSaltBytes, splitAuthData } from "./algorithm-identifier.js";
import { concat } from "./bytes.js";
import { fault } from "./faults.js";
import type { EcCurve, KeyKind, SignatureHash, SignaturePolicy, SignatureScheme } from "./types.js";

const CURVES: Readonly<Record<string, EcCurve>> = { prime256v1: "P-256", secp384r1: "P-384", secp521r1: "P-521" };
const MIN_RSA_BITS = 2048;
/** Above it a verification costs more than a peer may ask for. */
const MAX_RSA_BITS = 8192;
const MAX_RSA_EXPONENT_BITS = 64;

const HASH_NUMBER: Readonly<Record<SignatureHash, number>> = {
  sha1: HASH.SHA1,
  sha256: HASH.SHA2_256,
  sha384: HASH.SHA2_384,
  sha512: HASH.SHA2_512,
  identity: HASH.IDENTITY,
};
/** RFC 4754 §3. */
const CLASSIC_EC: Readonly<Record<EcCurve, SignatureScheme>> = {
  "P-256": { method: AUTH_METHOD.ECDSA_256, key: "ec", hash: "sha256", curve: "P-256" },
  "P-384": { method: AUTH_METHOD.ECDSA_384, key: "ec", hash: "sha384", curve: "P-384" },
  "P-521": { method: AUTH_METHOD.ECDSA_521, key: "ec", hash: "sha512", curve: "P-521" },
};
/** RFC 7296 §3.8: method 1 negotiates no hash; SHA-1 is the one that every peer verifies. */
const CLASSIC_RSA: SignatureScheme = { method: AUTH_METHOD.RSA_SIGNATURE, key: "rsa", hash: "sha1" };

/** Type and size of a public or private key. Fault `ike/unsuitable-key` for degenerate RSA and for keys that IKE does not name. */
export function keyKind(key: KeyObject, policy: SignaturePolicy = {}): KeyKind {
  const details = key.asymmetricKeyDetails;
  switch (key.asymmetricKeyType) {
    case "rsa":
    case "rsa-pss": {
      const bits = details?.modulusLength ?? 0;
      checkRsa(key, bits, details?.publicExponent ?? 0n, policy);
      return { type: key.asymmetricKeyType, bits };
    }
    case "ec": {
      const curve = CURVES[details?.namedCurve ?? ""];
      if (!curve) throw unsuitable("curve", details?.namedCurve ?? "unnamed", "P-256, P-384 or P-521");
      return { type: "ec", curve };
    }
    case "ed25519":
    case "ed448":
      return { type: key.asymmetricKeyType };
    default:
      throw unsuitable("type", key.asymmetricKeyType ?? key.type, "RSA, ECDSA or EdDSA");
  }
}

function checkRsa(key: KeyObject, bits: number, exponent: bigint, policy: SignaturePolicy): void {
  const min = policy.minRsaBits ?? MIN_RSA_BITS;
  if (bits < min || bits > MAX_RSA_BITS) throw unsuitable("RSA modulus", `${bits} bits`, `${min} to ${MAX_RSA_BITS}`);
  const odd = (exponent & 1n) === 1n;
  if (exponent < 3n || !odd || exponent >> BigInt(MAX_RSA_EXPONENT_BITS) !== 0n) {
    throw unsuitable("RSA exponent", exponent.toString(), `odd, 3 to 2^${MAX_RSA_EXPONENT_BITS}`);
  }
  if (key.type === "public" && key.asymmetricKeyType === "rsa") {
    const modulus = Buffer.from(key.export({ format: "jwk" }).n ?? "", "base64url");
    if (((modulus.at(-1) ?? 0) & 1) === 0) throw unsuitable("RSA modulus", "even", "odd");
  }
}

function unsuitable(field: string, value: string, expected: string) {
  return fault("ike/unsuitable-key", `${field}: ${value}, expected ${expected}`, { field, value, expected });
}

/** Hashes to offer in SIGNATURE_HASH_ALGORITHMS, best first. */
export const OFFERED_HASHES: readonly number[] = [HASH.SHA2_512, HASH.SHA2_384, HASH.SHA2_256, HASH.IDENTITY];

const EC_HASHES: Readonly<Record<EcCurve, readonly SignatureHash[]>> = {
  "P-256": ["sha256", "sha384", "sha512"],
  "P-384": ["sha384", "sha512", "sha256"],
  "P-521": ["sha512", "sha384", "sha256"],
};
const RSA_HASHES: readonly SignatureHash[] = ["sha256", "sha384", "sha512"];

/**
 * How to sign with a key towards a peer that announced `peerHashes` (undefined: no RFC 7427). PKCS#1 v1.5 unless the key
 * or `pss` wants RSASSA-PSS. Undefined when nothing fits both.
 */
export function chooseScheme(
  key: KeyKind,
  peerHashes: readonly number[] | undefined,
  options: { readonly pss?: boolean } = {},
): SignatureScheme | undefined {
  const knows = (hash: SignatureHash) => peerHashes?.includes(HASH_NUMBER[hash]) ?? false;
  const digital = (hash: SignatureHash | undefined, rest: Omit<SignatureScheme, "method" | "hash">) =>
    hash && { method: AUTH_METHOD.DIGITAL_SIGNATURE, hash, ...rest };
  switch (key.type) {
    case "ec":
      return digital(EC_HASHES[key.curve].find(knows), { key: "ec", curve: key.curve }) ?? CLASSIC_EC[key.curve];
    case "rsa":
      return digital(RSA_HASHES.find(knows), { key: options.pss ? "rsa-pss" : "rsa" }) ?? CLASSIC_RSA;
    case "rsa-pss":
      return digital(RSA_HASHES.find(knows), { key: "rsa-pss" });
    case "ed25519":
    case "ed448":
      return digital(knows("identity") ? "identity" : undefined, { key: key.type });
  }
}

/** Key and options as node:crypto wants them for a scheme. A bare key is a third faster than one with options. */
function native(key: KeyObject, scheme: SignatureScheme) {
  const algorithm = scheme.hash === "identity" ? null : scheme.hash;
  if (scheme.key === "rsa-pss") {
    const saltLength = pssSaltBytes(scheme.hash);
    return { algorithm, key: { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength } };
  }
  // Methods 9 to 11 carry r | s (RFC 4754 §7), RFC 7427 carries Ecdsa-Sig-Value.
  const raw = scheme.key === "ec" && scheme.method !== AUTH_METHOD.DIGITAL_SIGNATURE;
  return { algorithm, key: raw ? { key, dsaEncoding: "ieee-p1363" as const } : key };
}

/** Whether a key can do what a scheme says; an rsa key does PSS too. */
function fits(kind: KeyKind, scheme: Pick<SignatureScheme, "key" | "curve" | "method">): boolean {
  if (scheme.key === "rsa-pss") return kind.type === "rsa" || kind.type === "rsa-pss";
  if (kind.type === "ec") return scheme.key === "ec" && (!scheme.curve || scheme.curve === kind.curve);
  return kind.type === scheme.key;
}

/** AUTH data over `octets`; blocks for about 0.03 ms (ECDSA P-256, Ed25519) to some ms (RSA). Fault `ike/unsuitable-key`. */
export function signAuth(privateKey: KeyObject, scheme: SignatureScheme, octets: Uint8Array): Uint8Array {
  const kind = keyKind(privateKey, { minRsaBits: 1024 });
  if (!fits(kind, scheme)) throw unsuitable("type", kind.type, scheme.curve ?? scheme.key);
  const digital = scheme.method === AUTH_METHOD.DIGITAL_SIGNATURE;
  const prefix = digital ? authPrefix(scheme) : new Uint8Array(0);
  if (!prefix) throw unsuitable("hash", scheme.hash, `one that goes with ${scheme.key}`);
  const { algorithm, key } = native(privateKey, scheme);
  return concat(prefix, sign(algorithm, octets, key));
}

/** Checks a peer's AUTH data; gives the scheme it used. Faults `ike/bad-signature` and `ike/unsuitable-key`. */
export function verifyAuth(
  publicKey: KeyObject,
  auth: { readonly method: number; readonly data: Uint8Array },
  octets: Uint8Array,
  policy: SignaturePolicy = {},
): SignatureScheme {
  const kind = keyKind(publicKey, policy);
  const { scheme, signature } = schemeOf(auth, kind);
  if (!fits(kind, scheme))
    throw refused("algorithm", `${scheme.key} ${scheme.hash}`, `one for a key of type ${kind.type}`);
  const classic = scheme.method === AUTH_METHOD.RSA_SIGNATURE;
  if (scheme.hash === "sha1" && !(policy.allowSha1 ?? classic)) throw refused("hash", "sha1", "SHA-2");
  const { algorithm, key } = native(publicKey, scheme);
  let valid = false;
  try {
    valid = verify(algorithm, octets, key, signature);
  } catch (cause) {
    throw refused("signature", "unreadable", "a signature by the certificate's key", cause);
  }
  if (!valid) throw refused("signature", "does not verify", "a signature by the certificate's key");
  return scheme;
}

function schemeOf(
  auth: { readonly method: number; readonly data: Uint8Array },
  kind: KeyKind,
): { scheme: SignatureScheme; signature: Uint8Array } {
  const { method, data } = auth;
  if (method === AUTH_METHOD.DIGITAL_SIGNATURE) {
    const split = splitAuthData(data);
    if (!split) throw refused("algorithm", "unknown AlgorithmIdentifier", "one of RFC 7427 appendix A");
    const curve = split.key === "ec" && kind.type === "ec" ? { curve: kind.curve } : {};
    return { scheme: { method, key: split.key, hash: split.hash, ...curve }, signature: split.signature };
  }
  const classic = [CLASSIC_RSA, ...Object.values(CLASSIC_EC)].find((scheme) => scheme.method === method);
  if (!classic) throw refused("method", nameOf(AUTH_METHOD, method), "a signature method");
  return { scheme: classic, signature: data };
}

function refused(field: string, value: string, expected: string, cause?: unknown) {
  return fault("ike/bad-signature", `AUTH ${field}: ${value}, expected ${expected}`, {
    field: `AUTH.${field}`,
    value,
    expected,
    ...(cause !== undefined && { cause }),
  });
}
