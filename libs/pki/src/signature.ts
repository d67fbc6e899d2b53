import { constants, type KeyObject, sign, verify } from "node:crypto";
import { contextTag, count, children as inside, isNull, malformed, type Node, oid, sequence } from "./der.js";
import { encode, integerDer, sequenceOf } from "./der-writer.js";
import { fault } from "./faults.js";
import type { KeyKind } from "./keys.js";

export type Hash = "sha256" | "sha384" | "sha512";

/** How a certificate, request or list is signed. SHA-1 and MD5 have no name here, so nothing signed with them is taken. */
export type SignatureScheme =
  | { readonly with: "rsa-pkcs1" | "ecdsa"; readonly hash: Hash }
  | { readonly with: "rsa-pss"; readonly hash: Hash; readonly saltLength: number }
  | { readonly with: "ed25519" | "ed448" };

const PLAIN: Readonly<Record<string, SignatureScheme>> = {
  "1.2.840.113549.1.1.11": { with: "rsa-pkcs1", hash: "sha256" },
  "1.2.840.113549.1.1.12": { with: "rsa-pkcs1", hash: "sha384" },
  "1.2.840.113549.1.1.13": { with: "rsa-pkcs1", hash: "sha512" },
  "1.2.840.10045.4.3.2": { with: "ecdsa", hash: "sha256" },
  "1.2.840.10045.4.3.3": { with: "ecdsa", hash: "sha384" },
  "1.2.840.10045.4.3.4": { with: "ecdsa", hash: "sha512" },
  "1.3.101.112": { with: "ed25519" },
  "1.3.101.113": { with: "ed448" },
};
const PSS = "1.2.840.113549.1.1.10";
const MGF1 = "1.2.840.113549.1.1.8";
const HASHES: Readonly<Record<string, Hash>> = {
  "2.16.840.1.101.3.4.2.1": "sha256",
  "2.16.840.1.101.3.4.2.2": "sha384",
  "2.16.840.1.101.3.4.2.3": "sha512",
};
const HASH_BYTES: Readonly<Record<Hash, number>> = { sha256: 32, sha384: 48, sha512: 64 };

function refuse(field: string, value: string, expected: string) {
  return fault("pki/bad-algorithm", `${field}: a signature algorithm that is not taken`, { field, value, expected });
}

/** Reads an AlgorithmIdentifier of a signature; parameters must be what its RFC says (4055, 5758, 8410). */
export function readScheme(node: Node | undefined, field: string): SignatureScheme {
  const [type, parameters, ...more] = sequence(node, field);
  if (more.length > 0) throw malformed(field, "AlgorithmIdentifier has two parts");
  const name = oid(type, field);
  if (name === PSS) return readPss(parameters, field);
  const scheme = PLAIN[name];
  if (scheme === undefined) throw refuse(field, name, "RSA, ECDSA or EdDSA with SHA-256, SHA-384 or SHA-512");
  const absent = parameters === undefined;
  if (scheme.with === "rsa-pkcs1" ? !(absent || isNull(parameters)) : !absent) {
    throw refuse(field, `${name} with parameters`, "no parameters");
  }
  return scheme;
}

/** RSASSA-PSS-params, RFC 4055 §3.1: one hash for message and mask, salt as long as the hash, the usual trailer. */
function readPss(parameters: Node | undefined, field: string): SignatureScheme {
  const parts = new Map(sequence(parameters, field).map((p) => [contextTag(p), inside(p, field)[0]]));
  const hashOf = (node: Node | undefined) => {
    const [type, nothing] = sequence(node, field);
    return nothing === undefined || isNull(nothing) ? HASHES[oid(type, field)] : undefined;
  };
  const hash = hashOf(parts.get(0));
  const [mask, maskHash] = sequence(parts.get(1), field);
  const saltLength = count(parts.get(2), field);
  const trailer = parts.has(3) ? count(parts.get(3), field) : 1;
  if (
    hash === undefined ||
    oid(mask, field) !== MGF1 ||
    hashOf(maskHash) !== hash ||
    saltLength !== HASH_BYTES[hash] ||
    trailer !== 1
  ) {
    throw refuse(field, "RSASSA-PSS with odd parameters", "SHA-2, MGF1 with the same hash, a salt of the hash's size");
  }
  return { with: "rsa-pss", hash, saltLength };
}

const FAMILY: Readonly<Record<KeyKind, readonly SignatureScheme["with"][]>> = {
  rsa: ["rsa-pkcs1", "rsa-pss"],
  "ecdsa-p256": ["ecdsa"],
  "ecdsa-p384": ["ecdsa"],
  "ecdsa-p521": ["ecdsa"],
  ed25519: ["ed25519"],
  ed448: ["ed448"],
};

/** Whether `signature` over `data` is `key`'s. An algorithm that does not go with the kind of key gives false. */
export function verifySignature(
  scheme: SignatureScheme,
  data: Uint8Array,
  signer: { readonly kind: KeyKind; readonly key: KeyObject },
  signature: Uint8Array,
): boolean {
  if (!FAMILY[signer.kind].includes(scheme.with)) return false;
  try {
    switch (scheme.with) {
      case "rsa-pss":
        return verify(
          scheme.hash,
          data,
          { key: signer.key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: scheme.saltLength },
          signature,
        );
      case "rsa-pkcs1":
        return verify(scheme.hash, data, { key: signer.key, padding: constants.RSA_PKCS1_PADDING }, signature);
      case "ecdsa":
        return verify(scheme.hash, data, signer.key, signature);
      default:
        return verify(null, data, signer.key, signature);
    }
  } catch {
    return false;
  }
}

/** The hash that goes with a kind of key when we sign; EdDSA brings its own. */
export function hashFor(kind: KeyKind): Hash | undefined {
  if (kind === "ed25519" || kind === "ed448") return undefined;
  return kind === "ecdsa-p384" ? "sha384" : kind === "ecdsa-p521" ? "sha512" : "sha256";
}

/** Signs as `KeyStore.sign` owes it. */
export function signWith(key: KeyObject, kind: KeyKind, data: Uint8Array): Uint8Array {
  return sign(hashFor(kind) ?? null, data, key);
}

/** An ECDSA signature as the DER of r and s (RFC 3279 §2.2.3), of r and s one after the other. */
export function ecdsaSignature(joint: Uint8Array): Uint8Array {
  const half = joint.length / 2;
  return encode(sequenceOf(integerDer(joint.subarray(0, half)), integerDer(joint.subarray(half))));
}
