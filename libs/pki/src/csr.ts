import type { KeyObject, webcrypto } from "node:crypto";
import { nameOf, ownBytes, signer, webAlgorithm, x509 } from "./builder.js";
import { bitString, contextTag, count, decode, malformed, raw, sequence } from "./der.js";
import { fault } from "./faults.js";
import { type KeyKind, readPublicKey, spkiOf } from "./keys.js";
import { readScheme, signWith, verifySignature } from "./signature.js";

const MAX_REQUEST_BYTES = 16 * 1024;

/** Makes a certificate request (PKCS#10, DER) signed by the key that it asks a certificate for. `commonName` is only a hint. */
export async function createRequest(
  keys: { readonly publicKey: KeyObject; readonly privateKey: KeyObject },
  commonName: string,
): Promise<Uint8Array> {
  const lib = await x509();
  const spki = spkiOf(keys.publicKey);
  const { kind } = readPublicKey(spki);
  const algorithm = webAlgorithm(kind);
  const key = { algorithm } as unknown as webcrypto.CryptoKey;
  const request = await lib.Pkcs10CertificateRequestGenerator.create(
    {
      name: nameOf(lib, [{ CN: commonName }]),
      keys: { publicKey: key, privateKey: key },
      signingAlgorithm: algorithm,
    },
    signer(spki, async (data) => signWith(keys.privateKey, kind, data)),
  );
  return ownBytes(new Uint8Array(request.rawData));
}

/** What a request that was found good asks for: a certificate for this key. Names and attributes in it are the asker's wish and are not read. */
export interface CertificateRequest {
  readonly spki: Uint8Array;
  readonly kind: KeyKind;
}

/**
 * Checks a PKCS#10 request (RFC 2986): form, strength of the key, and that the asker holds it.
 * @throws pki/malformed, pki/weak-key, pki/bad-algorithm, pki/bad-signature
 */
export function checkRequest(der: Uint8Array, field = "csr"): CertificateRequest {
  if (der.length > MAX_REQUEST_BYTES) throw malformed(field, `more than ${MAX_REQUEST_BYTES} octets`);
  const own = ownBytes(der);
  const [info, algorithm, signatureNode, ...more] = sequence(decode(own, field), field);
  if (info === undefined || more.length > 0) throw malformed(field, "three parts wanted");
  const [version, , key, attributes] = sequence(info, field);
  if (count(version, `${field}.version`) !== 0 || key === undefined) throw malformed(field, "not version 1 of PKCS#10");
  if (attributes !== undefined && contextTag(attributes) !== 0) throw malformed(`${field}.attributes`, "[0] wanted");
  const signature = bitString(signatureNode, `${field}.signature`);
  const spki = raw(key);
  const asker = readPublicKey(spki, `${field}.publicKey`);
  const scheme = readScheme(algorithm, `${field}.signatureAlgorithm`);
  if (signature.unused !== 0 || !verifySignature(scheme, raw(info), asker, signature.octets)) {
    throw fault("pki/bad-signature", `${field}: not signed by the key that it asks a certificate for`, { field });
  }
  return { spki: ownBytes(spki), kind: asker.kind };
}
