import { concat } from "./bytes.js";
import { integer, NULL, oid, sequence, tlv } from "./der.js";
import type { SignatureHash, SignatureScheme } from "./types.js";

/** AlgorithmIdentifiers of RFC 7427 AUTH data: appendix A there, RFC 8420 §A for EdDSA. */

const RSA = "1.2.840.113549.1.1";
const RSA_WITH: Partial<Record<SignatureHash, string>> = {
  sha1: `${RSA}.5`,
  sha256: `${RSA}.11`,
  sha384: `${RSA}.12`,
  sha512: `${RSA}.13`,
};
const ECDSA_WITH: Partial<Record<SignatureHash, string>> = {
  sha1: "1.2.840.10045.4.1",
  sha256: "1.2.840.10045.4.3.2",
  sha384: "1.2.840.10045.4.3.3",
  sha512: "1.2.840.10045.4.3.4",
};
const PSS_HASH: Partial<Record<SignatureHash, readonly [id: string, saltBytes: number]>> = {
  sha256: ["2.16.840.1.101.3.4.2.1", 32],
  sha384: ["2.16.840.1.101.3.4.2.2", 48],
  sha512: ["2.16.840.1.101.3.4.2.3", 64],
};

/** Salt of an RSA-PSS signature: as long as the hash. */
export function pssSaltBytes(hash: SignatureHash): number {
  return PSS_HASH[hash]?.[1] ?? 0;
}

/** RSASSA-PSS-params with MGF1 over the same hash (RFC 4055 §3.1); `parameters` is what follows each hash OID: NULL or nothing. */
function pss(hash: SignatureHash, parameters: Uint8Array): Uint8Array | undefined {
  const [id, saltBytes] = PSS_HASH[hash] ?? [];
  if (!id || !saltBytes) return undefined;
  const hashAlgorithm = sequence(oid(id), parameters);
  return sequence(
    oid(`${RSA}.10`),
    sequence(
      tlv(0xa0, hashAlgorithm),
      tlv(0xa1, sequence(oid(`${RSA}.8`), hashAlgorithm)),
      tlv(0xa2, integer(Uint8Array.of(saltBytes))),
    ),
  );
}

type Algorithm = Pick<SignatureScheme, "key" | "hash">;

/** All encodings of one algorithm that peers use; the first is the one to send. */
function encodings({ key, hash }: Algorithm): Uint8Array[] {
  switch (key) {
    case "rsa": {
      const id = RSA_WITH[hash];
      return id ? [sequence(oid(id), NULL), sequence(oid(id))] : [];
    }
    case "rsa-pss":
      return [pss(hash, NULL), pss(hash, new Uint8Array(0))].filter((der) => der !== undefined);
    case "ec": {
      const id = ECDSA_WITH[hash];
      return id ? [sequence(oid(id))] : [];
    }
    case "ed25519":
      return hash === "identity" ? [sequence(oid("1.3.101.112"))] : [];
    case "ed448":
      return hash === "identity" ? [sequence(oid("1.3.101.113"))] : [];
  }
}

const KEYS = ["rsa", "rsa-pss", "ec", "ed25519", "ed448"] as const;
const HASHES = ["sha1", "sha256", "sha384", "sha512", "identity"] as const;
const known = new Map<string, Algorithm>();
const preferred = new Map<string, Uint8Array>();
for (const key of KEYS) {
  for (const hash of HASHES) {
    for (const der of encodings({ key, hash })) {
      known.set(hex(der), { key, hash });
      if (!preferred.has(`${key} ${hash}`)) preferred.set(`${key} ${hash}`, der);
    }
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

/** Length octet and AlgorithmIdentifier before the signature value, RFC 7427 §3; undefined for a combination that is none. */
export function authPrefix({ key, hash }: Algorithm): Uint8Array | undefined {
  const der = preferred.get(`${key} ${hash}`);
  return der && concat(Uint8Array.of(der.length), der);
}

/** Splits AUTH data of method 14; undefined unless the algorithm is one of ours, in an encoding known octet by octet. */
export function splitAuthData(data: Uint8Array): (Algorithm & { readonly signature: Uint8Array }) | undefined {
  const size = data[0] ?? 0;
  if (size >= data.length) return undefined;
  const algorithm = known.get(hex(data.subarray(1, 1 + size)));
  return algorithm && { ...algorithm, signature: data.subarray(1 + size) };
}
