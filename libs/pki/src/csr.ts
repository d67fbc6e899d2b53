import type { KeyObject } from "node:crypto";
import { nameDer, type Subject, signedDer } from "./builder.js";
import {
  bitString,
  contextTag,
  count,
  decode,
  children as inside,
  malformed,
  type Node,
  octetString,
  oid,
  raw,
  sequence,
  set,
} from "./der.js";
import { constructedTag, encode, numberDer, oidDer, type SubjectName, sequenceOf, setOf } from "./der-writer.js";
import { subjectAltName } from "./extensions.js";
import { fault } from "./faults.js";
import { type GeneralNames, NO_NAMES, readGeneralNames } from "./general-names.js";
import { type KeyKind, readPublicKey, spkiOf } from "./keys.js";
import type { KeyHandle, KeyStore } from "./keystore.js";
import { type DistinguishedName, readName } from "./names.js";
import { readScheme, signWith, verifySignature } from "./signature.js";

const MAX_REQUEST_BYTES = 16 * 1024;
const EXTENSION_REQUEST = "1.2.840.113549.1.9.14";
const SUBJECT_ALT_NAME = "2.5.29.17";

async function build(
  key: Pick<KeyHandle, "kind" | "spki">,
  subject: Subject,
  names: readonly SubjectName[],
  sign: (data: Uint8Array) => Promise<Uint8Array>,
): Promise<Uint8Array> {
  const wishes =
    names.length === 0 ? [] : [sequenceOf(oidDer(EXTENSION_REQUEST), setOf(sequenceOf(subjectAltName(names))))];
  const info = encode(sequenceOf(numberDer(0), nameDer(subject), key.spki, constructedTag(0, ...wishes)));
  return signedDer(key.kind, info, await sign(info));
}

/** Makes a certificate request (PKCS#10, DER) signed by the key that it asks a certificate for. Names are only wishes; without `commonName` the subject is empty. */
export function createRequest(
  keys: { readonly publicKey: KeyObject; readonly privateKey: KeyObject },
  commonName: string | undefined,
  names: readonly SubjectName[] = [],
): Promise<Uint8Array> {
  const spki = spkiOf(keys.publicKey);
  const { kind } = readPublicKey(spki);
  const subject: Subject = commonName === undefined ? [] : [["CN", commonName]];
  return build({ kind, spki }, subject, names, async (data) => signWith(keys.privateKey, kind, data));
}

/** The same for a key that stays in its store: what a root elsewhere is asked to certify. */
export function createAuthorityRequest(store: KeyStore, key: KeyHandle, subject: Subject): Promise<Uint8Array> {
  return build(key, subject, [], (data) => store.sign(key, data));
}

/** What a request that was found good asks for: a certificate for this key. The names in it are the asker's wish, and prove nothing. */
export interface CertificateRequest {
  readonly spki: Uint8Array;
  readonly kind: KeyKind;
  readonly subject: DistinguishedName;
  /** The subjectAltName that it asks for. */
  readonly names: GeneralNames;
}

/**
 * Checks a PKCS#10 request (RFC 2986): form, strength of the key, and that the asker holds it.
 * @throws pki/malformed, pki/weak-key, pki/bad-algorithm, pki/bad-signature
 */
export function checkRequest(der: Uint8Array, field = "csr"): CertificateRequest {
  if (der.length > MAX_REQUEST_BYTES) throw malformed(field, `more than ${MAX_REQUEST_BYTES} octets`);
  const own = Uint8Array.from(der);
  const [info, algorithm, signatureNode, ...more] = sequence(decode(own, field), field);
  if (info === undefined || more.length > 0) throw malformed(field, "three parts wanted");
  const [version, subject, key, attributes] = sequence(info, field);
  if (count(version, `${field}.version`) !== 0 || key === undefined) throw malformed(field, "not version 1 of PKCS#10");
  if (attributes !== undefined && contextTag(attributes) !== 0) throw malformed(`${field}.attributes`, "[0] wanted");
  const signature = bitString(signatureNode, `${field}.signature`);
  const spki = raw(key);
  const asker = readPublicKey(spki, `${field}.publicKey`);
  const scheme = readScheme(algorithm, `${field}.signatureAlgorithm`);
  if (signature.unused !== 0 || !verifySignature(scheme, raw(info), asker, signature.octets)) {
    throw fault("pki/bad-signature", `${field}: not signed by the key that it asks a certificate for`, { field });
  }
  return {
    spki: Uint8Array.from(spki),
    kind: asker.kind,
    subject: readName(subject, `${field}.subject`),
    names: wishedNames(attributes, `${field}.attributes`),
  };
}

/** Of extensionRequest (RFC 2985 §5.4.2) the subjectAltName; the rest is the issuer's business. */
function wishedNames(attributes: Node | undefined, field: string): GeneralNames {
  for (const attribute of attributes ? inside(attributes, field) : []) {
    const [type, values] = sequence(attribute, field);
    if (oid(type, field) !== EXTENSION_REQUEST) continue;
    for (const extension of sequence(set(values, field)[0], field)) {
      const [name, ...rest] = sequence(extension, field);
      if (oid(name, field) !== SUBJECT_ALT_NAME) continue;
      const value = octetString(rest.at(-1), field);
      return readGeneralNames(sequence(decode(value, field), field), field, [4, 16]);
    }
  }
  return NO_NAMES;
}
