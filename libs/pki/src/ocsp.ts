import { createHash } from "node:crypto";
import * as asn1js from "asn1js";
import { type Certificate, readCertificate } from "./certificate.js";
import { REASONS, type Revoked } from "./crl.js";
import {
  bitString,
  children,
  contextTag,
  decode,
  integer,
  malformed,
  type Node,
  octetString,
  oid,
  raw,
  sequence,
  time,
} from "./der.js";
import { EXTENDED_KEY_USAGE } from "./extensions.js";
import { fault } from "./faults.js";
import { readScheme, verifySignature } from "./signature.js";

/** Octets of a response that is looked at at all. */
export const MAX_OCSP_BYTES = 64 * 1024;

export const SHA1 = "1.3.14.3.2.26";
export const SHA256 = "2.16.840.1.101.3.4.2.1";
const HASHES: Readonly<Record<string, string>> = { [SHA1]: "sha1", [SHA256]: "sha256" };
export const BASIC = "1.3.6.1.5.5.7.48.1.1";
export const NONCE = "1.3.6.1.5.5.7.48.1.2";
const FIELD = "ocsp";
const STATUS = [
  "successful",
  "malformedRequest",
  "internalError",
  undefined,
  "tryLater",
  "sigRequired",
  "unauthorized",
];

const digest = (name: string, bytes: Uint8Array) => createHash(name).update(bytes).digest();

/** The DER of a certificate's own name and the bits of its key. */
export function partsOf(certificate: Certificate): { readonly name: Uint8Array; readonly key: Uint8Array } {
  const [tbs] = sequence(decode(certificate.der, FIELD), FIELD);
  const parts = sequence(tbs, FIELD);
  const subject = parts[contextTag(parts[0]) === 0 ? 5 : 4];
  const [, key] = sequence(decode(certificate.spki, FIELD), FIELD);
  if (!subject) throw malformed(FIELD, "no subject");
  return { name: raw(subject), key: bitString(key, FIELD).octets };
}

/** What a response says of one certificate. */
export interface OcspAnswer {
  readonly status: "good" | "revoked" | "unknown";
  readonly revoked: Revoked | undefined;
  /** Milliseconds since 1970. */
  readonly thisUpdate: number;
  readonly nextUpdate: number | undefined;
}

/** An OCSPRequest (RFC 6960 §4.1) about one certificate, with the hash that every responder knows (RFC 5019 §2.1.1). */
export function ocspRequest(certificate: Certificate, issuer: Certificate, nonce?: Uint8Array): Uint8Array {
  const { name, key } = partsOf(issuer);
  const octets = (bytes: Uint8Array) => new asn1js.OctetString({ valueHex: Uint8Array.from(bytes).buffer });
  const list = (...value: asn1js.BaseBlock[]) => new asn1js.Sequence({ value });
  const serial = Uint8Array.from(Buffer.from(certificate.serial, "hex"));
  const positive = (serial[0] ?? 0) > 127 ? Uint8Array.of(0, ...serial) : serial;
  const id = list(
    list(new asn1js.ObjectIdentifier({ value: SHA1 }), new asn1js.Null()),
    octets(digest("sha1", name)),
    octets(digest("sha1", key)),
    new asn1js.Integer({ valueHex: positive.buffer }),
  );
  const extensions = nonce && [
    new asn1js.Constructed({
      idBlock: { tagClass: 3, tagNumber: 2 },
      value: [list(list(new asn1js.ObjectIdentifier({ value: NONCE }), octets(new Uint8Array(octets(nonce).toBER()))))],
    }),
  ];
  return new Uint8Array(list(list(list(list(id)), ...(extensions ?? []))).toBER());
}

/**
 * What `der` says of `certificate`, signed by its issuer or by a responder that the issuer has certified for it, valid at `now`.
 * @throws pki/malformed, pki/bad-signature, pki/untrusted, pki/forbidden-use, pki/expired
 */
export function readOcspResponse(
  der: Uint8Array,
  certificate: Certificate,
  issuer: Certificate,
  now: number,
  nonce?: Uint8Array,
): OcspAnswer {
  if (der.length > MAX_OCSP_BYTES) throw malformed(FIELD, `more than ${MAX_OCSP_BYTES} octets`);
  const [status, bytes] = sequence(decode(Uint8Array.from(der), FIELD), FIELD);
  const code = status instanceof asn1js.Enumerated ? status.valueBlock.valueDec : -1;
  if (code !== 0) {
    const value = STATUS[code] ?? String(code);
    throw fault("pki/untrusted", `the responder answered ${value}`, { field: `${FIELD}.responseStatus`, value });
  }
  const [type, basicOctets] = sequence(explicit0(bytes), FIELD);
  if (oid(type, FIELD) !== BASIC) throw malformed(`${FIELD}.responseType`, "not id-pkix-ocsp-basic");
  const basic = sequence(decode(octetString(basicOctets, FIELD), FIELD), FIELD);
  const [data, algorithm, signature, certificates] = basic;
  if (!data || !algorithm) throw malformed(FIELD, "too few parts");
  const signer = signerOf(certificates, issuer, now);
  const bits = bitString(signature, `${FIELD}.signature`);
  const scheme = readScheme(algorithm, `${FIELD}.signatureAlgorithm`);
  if (bits.unused !== 0 || !verifySignature(scheme, raw(data), signer, bits.octets)) {
    throw fault("pki/bad-signature", `the response is not signed by ${signer.subject.text}`, { field: FIELD });
  }
  const parts = sequence(data, FIELD).filter((p) => contextTag(p) === undefined);
  const [, responses] = parts;
  if (nonce) requireNonce(sequence(data, FIELD), nonce);
  for (const response of sequence(responses, FIELD)) {
    const answer = answerAbout(response, certificate, issuer);
    if (answer) return current(answer, now);
  }
  throw fault("pki/untrusted", "the response is about another certificate", { field: `${FIELD}.certID` });
}

/** What stands under the explicit tag [0]. */
function explicit0(node: Node | undefined): Node | undefined {
  if (contextTag(node) !== 0) throw malformed(FIELD, "[0] wanted");
  return children(node, FIELD)[0];
}

/** The issuer itself, or the one whom it has given the right (RFC 6960 §4.2.2.2). */
function signerOf(certificates: Node | undefined, issuer: Certificate, now: number): Certificate {
  const [first] = certificates ? sequence(explicit0(certificates), FIELD) : [];
  if (!first) return issuer;
  const signer = readCertificate(raw(first), `${FIELD}.signer`);
  if (signer.fingerprint === issuer.fingerprint) return issuer;
  if (!signer.extendedKeyUsage?.includes(EXTENDED_KEY_USAGE.ocspSigning) || signer.unhandledCritical.length > 0) {
    throw fault("pki/forbidden-use", `${signer.subject.text} may not sign OCSP responses`, {
      field: `${FIELD}.signer`,
    });
  }
  if (now < signer.notBefore || now > signer.notAfter) {
    throw fault("pki/expired", "the responder's certificate is not valid now", { field: `${FIELD}.signer` });
  }
  if (!verifySignature(signer.scheme, signer.tbs, issuer, signer.signature)) {
    const text = `${signer.subject.text} is not certified by ${issuer.subject.text}`;
    throw fault("pki/bad-signature", text, { field: `${FIELD}.signer` });
  }
  return signer;
}

function requireNonce(data: readonly Node[], nonce: Uint8Array): void {
  const list = data.filter((p) => contextTag(p) === 1).at(-1);
  for (const extension of list ? sequence(children(list, FIELD)[0], FIELD) : []) {
    const [type, ...rest] = sequence(extension, FIELD);
    if (oid(type, FIELD) !== NONCE) continue;
    const value = octetString(rest.at(-1), FIELD);
    const inner = octetString(decode(value, `${FIELD}.nonce`), `${FIELD}.nonce`);
    if (Buffer.compare(inner, nonce) === 0) return;
    throw fault("pki/untrusted", "the response answers another request", { field: `${FIELD}.nonce` });
  }
  // Responders that sign ahead have no nonce to give (RFC 5019 §4); the times have to do then.
}

function answerAbout(response: Node, certificate: Certificate, issuer: Certificate): OcspAnswer | undefined {
  const [id, status, thisUpdate, ...rest] = sequence(response, FIELD);
  const [algorithm, nameHash, keyHash, serial] = sequence(id, FIELD);
  const hash = HASHES[oid(sequence(algorithm, FIELD)[0], FIELD)];
  if (hash === undefined || !status) return undefined;
  const { name, key } = partsOf(issuer);
  const number = integer(serial, FIELD);
  const same =
    Buffer.compare(octetString(nameHash, FIELD), digest(hash, name)) === 0 &&
    Buffer.compare(octetString(keyHash, FIELD), digest(hash, key)) === 0 &&
    Buffer.from(number.length > 1 && number[0] === 0 ? number.subarray(1) : number).toString("hex") ===
      certificate.serial;
  if (!same) return undefined;
  const next = rest.find((p) => contextTag(p) === 0);
  const times = {
    thisUpdate: time(thisUpdate, `${FIELD}.thisUpdate`),
    nextUpdate: next && time(children(next, FIELD)[0], `${FIELD}.nextUpdate`),
  };
  switch (contextTag(status)) {
    case 0:
      return { status: "good", revoked: undefined, ...times };
    case 1: {
      const at = time(children(status, FIELD)[0], `${FIELD}.revocationTime`);
      const reason = children(status, FIELD)[1];
      const code = reason && children(reason, FIELD)[0];
      const name = code instanceof asn1js.Enumerated ? REASONS[code.valueBlock.valueDec] : undefined;
      return { status: "revoked", revoked: { at, reason: name ?? "unspecified" }, ...times };
    }
    default:
      return { status: "unknown", revoked: undefined, ...times };
  }
}

/** A responder's clock may be a little off. */
const SKEW_MS = 5 * 60_000;

function current(answer: OcspAnswer, now: number): OcspAnswer {
  const { thisUpdate, nextUpdate } = answer;
  if (thisUpdate > now + SKEW_MS || (nextUpdate !== undefined && nextUpdate < now - SKEW_MS)) {
    const value = new Date(nextUpdate ?? thisUpdate).toISOString();
    throw fault("pki/expired", "the response is not of this time", { field: `${FIELD}.nextUpdate`, value });
  }
  return answer;
}
