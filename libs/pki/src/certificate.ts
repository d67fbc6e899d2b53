import { createHash, type KeyObject } from "node:crypto";
import { type NameConstraints, readNameConstraints } from "./constraints.js";
import {
  bitString,
  boolean,
  children,
  content,
  contextTag,
  count,
  decode,
  integer,
  isBoolean,
  isInteger,
  malformed,
  type Node,
  octetString,
  oid,
  raw,
  sequence,
  time,
} from "./der.js";
import { type GeneralNames, NO_NAMES, readGeneralNames } from "./general-names.js";
import { type KeyKind, readPublicKey } from "./keys.js";
import { type DistinguishedName, readName } from "./names.js";
import { readScheme, type SignatureScheme } from "./signature.js";

/** Octets of a certificate that is looked at at all. */
export const MAX_CERTIFICATE_BYTES = 32 * 1024;

/** A certificate taken apart and found well-formed; nothing is said about who signed it. */
export interface Certificate {
  readonly der: Uint8Array;
  /** SHA-256 of the DER, lower-case hex. */
  readonly fingerprint: string;
  /** The serial number, lower-case hex, an even number of digits, no sign octet. */
  readonly serial: string;
  readonly subject: DistinguishedName;
  readonly issuer: DistinguishedName;
  /** Milliseconds since 1970. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly spki: Uint8Array;
  readonly kind: KeyKind;
  readonly key: KeyObject;
  readonly scheme: SignatureScheme;
  readonly tbs: Uint8Array;
  readonly signature: Uint8Array;
  readonly names: GeneralNames;
  /** basicConstraints says that this is a CA; `pathLength` is how many CAs may follow. */
  readonly ca: boolean;
  readonly pathLength: number | undefined;
  /** Bits of keyUsage by number (RFC 5280 §4.2.1.3), undefined when the extension is absent. */
  readonly keyUsage: ReadonlySet<number> | undefined;
  /** OIDs, undefined when the extension is absent. */
  readonly extendedKeyUsage: readonly string[] | undefined;
  readonly nameConstraints: NameConstraints | undefined;
  readonly subjectKeyId: string | undefined;
  readonly authorityKeyId: string | undefined;
  /** Where it says that lists of revoked certificates (RFC 5280 §4.2.1.13) and OCSP responders (§4.2.2.1) are; http only. */
  readonly crlUris: readonly string[];
  readonly ocspUris: readonly string[];
  /** OIDs of critical extensions that nothing here understands. */
  readonly unhandledCritical: readonly string[];
}

export const KEY_USAGE = { digitalSignature: 0, nonRepudiation: 1, keyCertSign: 5, crlSign: 6 } as const;

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

export function fingerprintOf(der: Uint8Array): string {
  return createHash("sha256").update(der).digest("hex");
}

const OCSP = "1.3.6.1.5.5.7.48.1";
const MAX_URIS = 4;

const webUris = (uris: readonly string[]) => uris.filter((u) => u.startsWith("http://")).slice(0, MAX_URIS);

interface Extensions {
  names: GeneralNames;
  ca: boolean;
  pathLength: number | undefined;
  keyUsage: ReadonlySet<number> | undefined;
  extendedKeyUsage: readonly string[] | undefined;
  nameConstraints: NameConstraints | undefined;
  subjectKeyId: string | undefined;
  authorityKeyId: string | undefined;
  crlUris: readonly string[];
  ocspUris: readonly string[];
  unhandledCritical: string[];
}

const EXTENSIONS: Readonly<Record<string, (e: Extensions, value: Node, field: string) => void>> = {
  "2.5.29.14": (e, value, field) => {
    e.subjectKeyId = hex(octetString(value, field));
  },
  "2.5.29.15": (e, value, field) => {
    const { octets } = bitString(value, field);
    const bits = [...octets].flatMap((octet, i) =>
      [0, 1, 2, 3, 4, 5, 6, 7].filter((b) => octet & (0x80 >> b)).map((b) => i * 8 + b),
    );
    e.keyUsage = new Set(bits);
  },
  "2.5.29.17": (e, value, field) => {
    e.names = readGeneralNames(sequence(value, field), field, [4, 16]);
  },
  "2.5.29.19": (e, value, field) => {
    const parts = sequence(value, field);
    e.ca = isBoolean(parts[0]) && boolean(parts[0], field);
    const length = parts[isBoolean(parts[0]) ? 1 : 0];
    if (length !== undefined) {
      if (!e.ca) throw malformed(field, "a path length without CA");
      e.pathLength = count(length, field);
    }
  },
  "2.5.29.30": (e, value, field) => {
    e.nameConstraints = readNameConstraints(value, field);
  },
  // Policies are not used to decide anything here, and demanding none is all that a plain certificatePolicies asks.
  "2.5.29.32": () => {},
  "2.5.29.31": (e, value, field) => {
    e.crlUris = webUris(
      sequence(value, field).flatMap((point) => {
        const name = sequence(point, field).find((p) => contextTag(p) === 0);
        const full = name && children(name, field).find((p) => contextTag(p) === 0);
        return full ? readGeneralNames(children(full, field), field, [4, 16]).uri : [];
      }),
    );
  },
  "2.5.29.35": (e, value, field) => {
    const id = sequence(value, field).find((p) => contextTag(p) === 0);
    if (id !== undefined) e.authorityKeyId = hex(content(id, field));
  },
  "2.5.29.37": (e, value, field) => {
    e.extendedKeyUsage = sequence(value, field).map((p) => oid(p, field));
  },
  "1.3.6.1.5.5.7.1.1": (e, value, field) => {
    e.ocspUris = webUris(
      sequence(value, field).flatMap((access) => {
        const [method, place] = sequence(access, field);
        const asked = oid(method, field) === OCSP && contextTag(place) === 6;
        return asked && place ? readGeneralNames([place], field, [4, 16]).uri : [];
      }),
    );
  },
};

function readExtensions(list: Node | undefined, field: string): Extensions {
  const found: Extensions = {
    names: NO_NAMES,
    ca: false,
    pathLength: undefined,
    keyUsage: undefined,
    extendedKeyUsage: undefined,
    nameConstraints: undefined,
    subjectKeyId: undefined,
    authorityKeyId: undefined,
    crlUris: [],
    ocspUris: [],
    unhandledCritical: [],
  };
  if (list === undefined) return found;
  const seen = new Set<string>();
  for (const extension of sequence(children(list, field)[0], field)) {
    const [type, ...rest] = sequence(extension, field);
    const name = oid(type, field);
    if (seen.has(name)) throw malformed(field, `${name} appears twice`);
    seen.add(name);
    const critical = isBoolean(rest[0]) && boolean(rest[0], field);
    const read = EXTENSIONS[name];
    const at = `${field}.${name}`;
    const value = octetString(rest[isBoolean(rest[0]) ? 1 : 0], at);
    if (read !== undefined) read(found, decode(value, at), at);
    else if (critical) found.unhandledCritical.push(name);
  }
  return found;
}

/**
 * Takes a certificate apart (RFC 5280 §4.1).
 * @throws pki/malformed, pki/weak-key, pki/bad-algorithm
 */
export function readCertificate(der: Uint8Array, field = "certificate"): Certificate {
  if (der.length > MAX_CERTIFICATE_BYTES) throw malformed(field, `more than ${MAX_CERTIFICATE_BYTES} octets`);
  const own = Uint8Array.from(der);
  const [tbsNode, outer, signatureNode, ...more] = sequence(decode(own, field), field);
  if (more.length > 0 || tbsNode === undefined || outer === undefined) throw malformed(field, "three parts wanted");
  const parts = [...sequence(tbsNode, field)];
  const version = contextTag(parts[0]) === 0 ? count(children(parts.shift(), field)[0], `${field}.version`) : 0;
  const [serialNode, inner, issuer, validity, subject, spki, ...optional] = parts;
  if (!isInteger(serialNode)) throw malformed(`${field}.serialNumber`, "INTEGER wanted");
  const serial = integer(serialNode, `${field}.serialNumber`);
  if (serial.length > 21) throw malformed(`${field}.serialNumber`, "more than 20 octets");
  // Both places must name the same algorithm, else the unsigned one could pick it (RFC 5280 §4.1.1.2).
  if (inner === undefined || Buffer.compare(raw(inner), raw(outer)) !== 0) {
    throw malformed(`${field}.signatureAlgorithm`, "not the one that was signed");
  }
  if (spki === undefined) throw malformed(field, "too few parts");
  const list = optional.find((p) => contextTag(p) === 3);
  if (list !== undefined && version !== 2) throw malformed(`${field}.version`, "extensions before version 3");
  const [notBefore, notAfter] = sequence(validity, `${field}.validity`);
  const signature = bitString(signatureNode, `${field}.signature`);
  if (signature.unused !== 0) throw malformed(`${field}.signature`, "unused bits");
  const spkiDer = raw(spki);
  return {
    der: own,
    fingerprint: fingerprintOf(own),
    serial: hex(serial.length > 1 && serial[0] === 0 ? serial.subarray(1) : serial),
    subject: readName(subject, `${field}.subject`),
    issuer: readName(issuer, `${field}.issuer`),
    notBefore: time(notBefore, `${field}.notBefore`),
    notAfter: time(notAfter, `${field}.notAfter`),
    spki: spkiDer,
    ...readPublicKey(spkiDer, `${field}.publicKey`),
    scheme: readScheme(outer, `${field}.signatureAlgorithm`),
    tbs: raw(tbsNode),
    signature: signature.octets,
    ...readExtensions(list, `${field}.extensions`),
  };
}
