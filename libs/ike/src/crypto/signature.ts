import { constants, type KeyObject, sign, verify } from "node:crypto";
import { AUTH_METHOD, HASH, nameOf } from "../wire/registry.js";
import { authPrefix, pssSaltBytes, splitAuthData } from "./algorithm-identifier.js";
import { concat } from "./bytes.js";
import { fault } from "./faults.js";
import type { EcCurve, KeyKind, SignatureHash, SignatureName, SignaturePolicy, SignatureScheme } from "./types.js";

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

/** Public keys whose modulus was looked at: that takes as long as to verify a signature. */
const oddModuli = new WeakSet<KeyObject>();

function checkRsa(key: KeyObject, bits: number, exponent: bigint, policy: SignaturePolicy): void {
  const min = policy.minRsaBits ?? MIN_RSA_BITS;
  if (bits < min || bits > MAX_RSA_BITS) throw unsuitable("RSA modulus", `${bits} bits`, `${min} to ${MAX_RSA_BITS}`);
  const odd = (exponent & 1n) === 1n;
  if (exponent < 3n || !odd || exponent >> BigInt(MAX_RSA_EXPONENT_BITS) !== 0n) {
    throw unsuitable("RSA exponent", exponent.toString(), `odd, 3 to 2^${MAX_RSA_EXPONENT_BITS}`);
  }
  if (key.type === "public" && key.asymmetricKeyType === "rsa" && !oddModuli.has(key)) {
    const modulus = Buffer.from(key.export({ format: "jwk" }).n ?? "", "base64url");
    if (((modulus.at(-1) ?? 0) & 1) === 0) throw unsuitable("RSA modulus", "even", "odd");
    oddModuli.add(key);
  }
}

function unsuitable(field: string, value: string, expected: string) {
  return fault("ike/unsuitable-key", `${field}: ${value}, expected ${expected}`, { field, value, expected });
}

/** Hashes to offer in SIGNATURE_HASH_ALGORITHMS, best first. */
export const OFFERED_HASHES: readonly number[] = [HASH.SHA2_512, HASH.SHA2_384, HASH.SHA2_256, HASH.IDENTITY];

const SHA2 = ["sha256", "sha384", "sha512"] as const;
const MODERN = AUTH_METHOD.DIGITAL_SIGNATURE;

/** Every signature by its name; a `curve` is left out where any will do. */
export const SIGNATURES: ReadonlyMap<SignatureName, SignatureScheme> = new Map<SignatureName, SignatureScheme>([
  ...SHA2.map((hash) => [`ecdsa-${hash}`, { method: MODERN, key: "ec", hash }] as const),
  ...SHA2.map((hash) => [`rsa-pss-${hash}`, { method: MODERN, key: "rsa-pss", hash }] as const),
  ...SHA2.map((hash) => [`rsa-${hash}`, { method: MODERN, key: "rsa", hash }] as const),
  ["ed25519", { method: MODERN, key: "ed25519", hash: "identity" }],
  ["ed448", { method: MODERN, key: "ed448", hash: "identity" }],
  ["rsa", CLASSIC_RSA],
  ["ecdsa-256", CLASSIC_EC["P-256"]],
  ["ecdsa-384", CLASSIC_EC["P-384"]],
  ["ecdsa-521", CLASSIC_EC["P-521"]],
]);

/** Hashes to offer to a peer of which these signatures are taken; none at all says that RFC 7427 is not spoken. */
export function hashesOf(signatures: readonly SignatureName[]): number[] {
  const schemes = signatures.flatMap((name) => SIGNATURES.get(name) ?? []).filter((s) => s.method === MODERN);
  return OFFERED_HASHES.filter((number) => schemes.some((s) => HASH_NUMBER[s.hash] === number));
}

/** The name of what a peer used. */
export function signatureName(scheme: SignatureScheme): SignatureName | undefined {
  for (const [name, s] of SIGNATURES) {
    if (s.method === scheme.method && s.key === scheme.key && s.hash === scheme.hash) return name;
  }
  return undefined;
}

/** In order: the hash that goes with a curve, PKCS#1 v1.5 before RSASSA-PSS, and last what peers without RFC 7427 know. */
const USUAL: Readonly<Record<KeyKind["type"] | EcCurve, readonly SignatureName[]>> = {
  ec: [],
  "P-256": ["ecdsa-sha256", "ecdsa-sha384", "ecdsa-sha512", "ecdsa-256"],
  "P-384": ["ecdsa-sha384", "ecdsa-sha512", "ecdsa-sha256", "ecdsa-384"],
  "P-521": ["ecdsa-sha512", "ecdsa-sha384", "ecdsa-sha256", "ecdsa-521"],
  rsa: ["rsa-sha256", "rsa-sha384", "rsa-sha512", "rsa"],
  "rsa-pss": ["rsa-pss-sha256", "rsa-pss-sha384", "rsa-pss-sha512"],
  ed25519: ["ed25519"],
  ed448: ["ed448"],
};

/**
 * How to sign with a key towards a peer that announced `peerHashes` (undefined: no RFC 7427): the first of `wanted`, or of what is
 * usual for such a key, that the key can do and the peer knows. Undefined when there is none.
 */
export function chooseScheme(
  key: KeyKind,
  peerHashes: readonly number[] | undefined,
  wanted: readonly SignatureName[] = USUAL[key.type === "ec" ? key.curve : key.type],
): SignatureScheme | undefined {
  for (const name of wanted) {
    const scheme = SIGNATURES.get(name);
    if (!scheme || !fits(key, scheme)) continue;
    if (scheme.method === MODERN && !peerHashes?.includes(HASH_NUMBER[scheme.hash])) continue;
    return key.type === "ec" ? { ...scheme, curve: key.curve } : scheme;
  }
  return undefined;
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
  const { accepted } = policy;
  const name = signatureName(scheme);
  if (accepted && !(name && accepted.includes(name)))
    throw refused("algorithm", name ?? scheme.hash, accepted.join(", "));
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
