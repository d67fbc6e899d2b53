import { createHash } from "node:crypto";
import { algorithmDer } from "./builder.js";
import type { Certificate } from "./certificate.js";
import { REASONS, type Revoked } from "./crl.js";
import { malformed } from "./der.js";
import {
  bitsDer,
  constructedTag,
  type Der,
  encode,
  enumeratedDer,
  generalizedTimeDer,
  integerDer,
  octetsDer,
  oidDer,
  sequenceOf,
} from "./der-writer.js";
import { extensionDer } from "./extensions.js";
import type { KeyHandle, KeyStore } from "./keystore.js";
import { BASIC, NONCE, partsOf, SHA1, SHA256 } from "./ocsp.js";
import { contentOf, type Element, elementAt, elementsIn, octetsOf } from "./tlv.js";

/** The answering side of OCSP (RFC 6960). What comes in is read without a tree of objects: anybody may ask, and often. */

/** Octets of a request that is looked at at all, and certificates that one may ask about. */
export const MAX_OCSP_REQUEST_BYTES = 4096;
const MAX_ASKED = 8;
/** RFC 9654 §2.1. */
const MAX_NONCE = 128;

const FIELD = "ocspRequest";
const SEQUENCE = 0x30;

export type OcspHash = "sha1" | "sha256";

/** Which certificate is asked about. */
export interface AskedCertificate {
  readonly hash: OcspHash;
  /** Of the issuer's name and of its key, one after the other, lower-case hex. */
  readonly issuer: string;
  /** As `Certificate.serial` writes it. */
  readonly serial: string;
  /** CertID as it was sent: the answer repeats it. */
  readonly id: Uint8Array;
}

export interface OcspQuestion {
  readonly asked: readonly AskedCertificate[];
  readonly nonce: Uint8Array | undefined;
}

const oidOctets = (name: string) => Buffer.from(oidDer(name)).toString("latin1");
const HASHES: Readonly<Record<string, OcspHash>> = { [oidOctets(SHA1)]: "sha1", [oidOctets(SHA256)]: "sha256" };
const NONCE_OID = oidOctets(NONCE);

/**
 * Takes a request apart. A signature on it is not looked at: everybody may ask. A hash that is not known here gives no certificate.
 * @throws pki/malformed
 */
export function readOcspRequest(der: Uint8Array): OcspQuestion {
  if (der.length > MAX_OCSP_REQUEST_BYTES) throw malformed(FIELD, `more than ${MAX_OCSP_REQUEST_BYTES} octets`);
  const whole = elementAt(der, 0, der.length, FIELD);
  if (whole.tag !== SEQUENCE || whole.end !== der.length) throw malformed(FIELD, "one SEQUENCE wanted");
  const [tbs] = elementsIn(der, whole, FIELD);
  if (tbs?.tag !== SEQUENCE) throw malformed(FIELD, "no tbsRequest");
  const parts = elementsIn(der, tbs, FIELD);
  const list = parts.find((p) => p.tag === SEQUENCE);
  if (list === undefined) throw malformed(FIELD, "no requestList");
  const requests = elementsIn(der, list, FIELD);
  if (requests.length === 0 || requests.length > MAX_ASKED) throw malformed(FIELD, `1 to ${MAX_ASKED} certificates`);
  const extensions = parts.find((p) => p.tag === 0xa2);
  return {
    asked: requests.flatMap((request) => askedIn(der, request) ?? []),
    nonce: extensions && nonceIn(der, extensions),
  };
}

function askedIn(der: Uint8Array, request: Element): AskedCertificate | undefined {
  const [id] = elementsIn(der, request, FIELD);
  if (id?.tag !== SEQUENCE) throw malformed(FIELD, "no CertID");
  const [algorithm, name, key, serial] = elementsIn(der, id, FIELD);
  if (algorithm?.tag !== SEQUENCE || name?.tag !== 4 || key?.tag !== 4 || serial?.tag !== 2) {
    throw malformed(FIELD, "not a CertID");
  }
  const number = contentOf(der, serial);
  if (number.length === 0 || number.length > 21 || (number[0] as number) > 0x7f) throw malformed(FIELD, "serialNumber");
  const [type] = elementsIn(der, algorithm, FIELD);
  const hash = type && HASHES[Buffer.from(octetsOf(der, type)).toString("latin1")];
  if (hash === undefined) return undefined;
  const hex = (octets: Uint8Array) => Buffer.from(octets).toString("hex");
  return {
    hash,
    issuer: hex(contentOf(der, name)) + hex(contentOf(der, key)),
    serial: hex(number.length > 1 && number[0] === 0 ? number.subarray(1) : number),
    id: octetsOf(der, id),
  };
}

/** A nonce of 1 to 128 octets; another one makes the request malformed (RFC 9654 §2.1). */
function nonceIn(der: Uint8Array, extensions: Element): Uint8Array | undefined {
  const [list] = elementsIn(der, extensions, FIELD);
  if (list === undefined) throw malformed(FIELD, "no extensions");
  for (const extension of elementsIn(der, list, FIELD)) {
    const parts = elementsIn(der, extension, FIELD);
    const [type] = parts;
    if (!type || Buffer.from(octetsOf(der, type)).toString("latin1") !== NONCE_OID) continue;
    const value = parts.at(-1) as Element;
    const inner = elementAt(der, value.content, value.end, FIELD);
    const nonce = contentOf(der, inner);
    if (value.tag !== 4 || inner.tag !== 4 || inner.end !== value.end) throw malformed(FIELD, "not a nonce");
    if (nonce.length < 1 || nonce.length > MAX_NONCE) throw malformed(FIELD, `a nonce of ${nonce.length} octets`);
    return nonce;
  }
  return undefined;
}

/** By what requests name an issuer, as `AskedCertificate.issuer` writes it. */
export function issuerHash(issuer: Certificate, hash: OcspHash): string {
  const { name, key } = partsOf(issuer);
  const digest = (octets: Uint8Array) => createHash(hash).update(octets).digest("hex");
  return digest(name) + digest(key);
}

/** Who signs: a certificate that the issuer gave the right to, and its key. */
export interface OcspSigner {
  readonly key: KeyHandle;
  readonly certificate: Uint8Array;
  /** ResponderID byKey: SHA-1 over the bits of the key (RFC 6960 §4.2.1). */
  readonly keyHash: Uint8Array;
}

export function ocspSigner(key: KeyHandle, certificate: Certificate): OcspSigner {
  return {
    key,
    certificate: certificate.der,
    keyHash: createHash("sha1").update(partsOf(certificate).key).digest(),
  };
}

/** What is said of one certificate. */
export interface OcspStatement {
  readonly id: Uint8Array;
  /** `unknown`: this issuer never issued such a serial number. */
  readonly status: "good" | "unknown" | Revoked;
}

export interface OcspTimes {
  /** Milliseconds since 1970. */
  readonly thisUpdate: number;
  readonly nextUpdate: number;
}

const GOOD = Uint8Array.of(0x80, 0);
const UNKNOWN = Uint8Array.of(0x82, 0);

function statusDer(status: OcspStatement["status"]): Der {
  if (status === "good") return GOOD;
  if (status === "unknown") return UNKNOWN;
  const at = generalizedTimeDer(status.at);
  if (status.reason === "unspecified") return constructedTag(1, at);
  return constructedTag(1, at, constructedTag(0, enumeratedDer(REASONS.indexOf(status.reason))));
}

/** Builds and signs an answer (RFC 6960 §4.2). One without a nonce may be given to everybody until `nextUpdate`. */
export async function buildOcspResponse(
  store: KeyStore,
  signer: OcspSigner,
  statements: readonly OcspStatement[],
  { thisUpdate, nextUpdate }: OcspTimes,
  nonce?: Uint8Array,
): Promise<Uint8Array> {
  const updated = generalizedTimeDer(thisUpdate);
  const next = constructedTag(0, generalizedTimeDer(nextUpdate));
  const data = encode(
    sequenceOf(
      constructedTag(2, octetsDer(signer.keyHash)),
      updated,
      sequenceOf(...statements.map(({ id, status }) => sequenceOf(id, statusDer(status), updated, next))),
      ...(nonce === undefined ? [] : [constructedTag(1, sequenceOf(extensionDer(NONCE, octetsDer(nonce))))]),
    ),
  );
  const { kind } = signer.key;
  const signature = bitsDer(await store.sign(signer.key, data));
  const certificates = constructedTag(0, sequenceOf(signer.certificate));
  const basic = sequenceOf(data, algorithmDer(kind), signature, certificates);
  return encode(sequenceOf(enumeratedDer(0), constructedTag(0, sequenceOf(oidDer(BASIC), octetsDer(basic)))));
}

const ERRORS = { malformedRequest: 1, internalError: 2, tryLater: 3, unauthorized: 6 } as const;

/** An answer that says nothing and is signed by nobody. `unauthorized`: this responder does not speak for that issuer. */
export function ocspError(error: keyof typeof ERRORS): Uint8Array {
  return encode(sequenceOf(enumeratedDer(ERRORS[error])));
}

/** A CertID that requests would name the certificate by, for answers that are signed ahead. */
export function certIdDer(issuer: Certificate, hash: OcspHash, serial: string): Uint8Array {
  const octets = Buffer.from(issuerHash(issuer, hash), "hex");
  const half = octets.length / 2;
  return encode(
    sequenceOf(
      sequenceOf(oidDer(hash === "sha1" ? SHA1 : SHA256), Uint8Array.of(0x05, 0)),
      octetsDer(octets.subarray(0, half)),
      octetsDer(octets.subarray(half)),
      integerDer(Buffer.from(serial, "hex")),
    ),
  );
}
