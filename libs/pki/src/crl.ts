import { type Certificate, fingerprintOf, KEY_USAGE } from "./certificate.js";
import {
  bitString,
  boolean,
  children,
  content as contentOf,
  contextTag,
  decode,
  integer,
  isBoolean,
  malformed,
  type Node,
  octetString,
  oid,
  sequence,
  time,
} from "./der.js";
import { fault } from "./faults.js";
import { type DistinguishedName, readName, sameName } from "./names.js";
import { readScheme, type SignatureScheme, verifySignature } from "./signature.js";
import { type Element, elementAt, elementsIn, octetsOf } from "./tlv.js";

/** Octets of a list that is looked at at all: some 200,000 revoked certificates. */
export const MAX_CRL_BYTES = 8 * 1024 * 1024;

/** Names of CRLReason (RFC 5280 §5.3.1) by number. */
export const REASONS = [
  "unspecified",
  "keyCompromise",
  "cACompromise",
  "affiliationChanged",
  "superseded",
  "cessationOfOperation",
  "certificateHold",
  undefined,
  "removeFromCRL",
  "privilegeWithdrawn",
  "aACompromise",
] as const;
export type RevocationReason = NonNullable<(typeof REASONS)[number]>;

export interface Revoked {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly reason: RevocationReason;
}

/** A certificate revocation list taken apart and found well-formed; nothing is said about who signed it. */
export interface CertificateList {
  /** SHA-256 of the DER, lower-case hex. */
  readonly fingerprint: string;
  readonly issuer: DistinguishedName;
  readonly authorityKeyId: string | undefined;
  /** cRLNumber; 0 when it has none. */
  readonly number: bigint;
  /** Of a delta CRL: the cRLNumber of the complete list that it adds to (RFC 5280 §5.2.4). */
  readonly base: bigint | undefined;
  /** Milliseconds since 1970. */
  readonly thisUpdate: number;
  readonly nextUpdate: number | undefined;
  /** Which certificates it speaks of (RFC 5280 §5.2.5). */
  readonly scope: "all" | "end-entities" | "authorities";
  readonly entries: number;
  readonly scheme: SignatureScheme;
  readonly tbs: Uint8Array;
  readonly signature: Uint8Array;
  /** What it says of a serial number, as `Certificate.serial` writes it. */
  lookUp(serial: string): Revoked | undefined;
}

const INTEGER = 0x02;
const SEQUENCE = 0x30;
const UTC_TIME = 0x17;
const GENERALIZED_TIME = 0x18;
const CRL_EXTENSIONS = 0xa0;
const FIELD = "crl";

const isTime = ({ tag }: Element) => tag === UTC_TIME || tag === GENERALIZED_TIME;

function bigint(node: Node | undefined, field: string): bigint {
  const octets = integer(node, field);
  if (octets.length > 21 || (octets[0] as number) > 127) throw malformed(field, "out of range");
  return BigInt(`0x${Buffer.from(octets).toString("hex")}`);
}

interface Extensions {
  authorityKeyId?: string;
  number?: bigint;
  base?: bigint;
  scope?: CertificateList["scope"];
}

const EXTENSIONS: Readonly<Record<string, (e: Extensions, value: Node, field: string) => void>> = {
  "2.5.29.20": (e, value, field) => {
    e.number = bigint(value, field);
  },
  "2.5.29.27": (e, value, field) => {
    e.base = bigint(value, field);
  },
  "2.5.29.28": (e, value, field) => {
    e.scope = scopeOf(value, field);
  },
  "2.5.29.35": (e, value, field) => {
    const id = sequence(value, field).find((p) => contextTag(p) === 0);
    if (id !== undefined) e.authorityKeyId = Buffer.from(contentOf(id, field)).toString("hex");
  },
  // Where a delta of this list is to be had: whoever fetches it looks there.
  "2.5.29.46": () => {},
};

/** IssuingDistributionPoint. A list that holds only some reasons, or other issuers' certificates, proves nothing good. */
function scopeOf(value: Node, field: string): CertificateList["scope"] {
  let scope: CertificateList["scope"] = "all";
  for (const part of sequence(value, field)) {
    const tag = contextTag(part);
    if (tag === 0) continue;
    if (tag !== 1 && tag !== 2) throw malformed(field, "a list of some reasons, of attributes or for other issuers");
    if ((contentOf(part, field)[0] ?? 0) === 0) continue;
    if (scope !== "all") throw malformed(field, "a list for no certificate at all");
    scope = tag === 1 ? "end-entities" : "authorities";
  }
  return scope;
}

function readExtensions(der: Uint8Array | undefined): Extensions {
  const out: Extensions = {};
  if (der === undefined) return out;
  const seen = new Set<string>();
  for (const extension of sequence(children(decode(der, `${FIELD}.extensions`), FIELD)[0], FIELD)) {
    const [type, ...rest] = sequence(extension, FIELD);
    const name = oid(type, FIELD);
    if (seen.has(name)) throw malformed(FIELD, `${name} appears twice`);
    seen.add(name);
    const at = `${FIELD}.${name}`;
    const critical = isBoolean(rest[0]) && boolean(rest[0], at);
    const value = octetString(rest[isBoolean(rest[0]) ? 1 : 0], at);
    const read = EXTENSIONS[name];
    if (read) read(out, decode(value, at), at);
    else if (critical)
      throw fault("pki/forbidden-use", `${at}: a critical extension that is not understood`, { field: at });
  }
  return out;
}

/** Octets of the serial number in the entry, without sign octet. */
function serialOf(bytes: Uint8Array, entry: Element): Element {
  const serial = elementAt(bytes, entry.content, entry.end, FIELD);
  if (serial.tag !== INTEGER || serial.end === serial.content) throw malformed(`${FIELD}.entry`, "INTEGER wanted");
  const sign = serial.end - serial.content > 1 && bytes[serial.content] === 0 ? 1 : 0;
  return { ...serial, content: serial.content + sign };
}

/** FNV-1a, and the bits of it mixed once more: many CAs count their serial numbers up. */
function hashOf(bytes: Uint8Array, from: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let at = from; at < end; at++) hash = Math.imul(hash ^ (bytes[at] as number), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return (hash ^ (hash >>> 13)) >>> 0;
}

/** Where the entries are by serial number: every peer's certificate is looked for in the list, and the list may be long. */
class Entries {
  /** Offsets plus one, at the hash of the serial number or the next free place after it; half of it stays empty. */
  readonly #places: Uint32Array;
  readonly #bytes: Uint8Array;
  readonly #end: number;
  readonly count: number;

  constructor(bytes: Uint8Array, list: Element) {
    const offsets: number[] = [];
    for (let at = list.content; at < list.end; ) {
      const entry = elementAt(bytes, at, list.end, `${FIELD}.entry`);
      const date = elementAt(bytes, serialOf(bytes, entry).end, entry.end, `${FIELD}.entry`);
      if (entry.tag !== SEQUENCE || !isTime(date)) throw malformed(`${FIELD}.entry`, "not an entry");
      offsets.push(at);
      at = entry.end;
    }
    this.#bytes = bytes;
    this.#end = list.end;
    this.count = offsets.length;
    this.#places = new Uint32Array(2 ** (Math.ceil(Math.log2(offsets.length + 1)) + 1));
    for (const offset of offsets) {
      const { content, end } = serialOf(bytes, this.#entry(offset));
      let place = hashOf(bytes, content, end) % this.#places.length;
      while (this.#places[place] !== 0) place = (place + 1) % this.#places.length;
      this.#places[place] = offset + 1;
    }
  }

  find(serial: Uint8Array): Element | undefined {
    let place = hashOf(serial, 0, serial.length) % this.#places.length;
    for (; this.#places[place] !== 0; place = (place + 1) % this.#places.length) {
      const entry = this.#entry((this.#places[place] as number) - 1);
      const { content, end } = serialOf(this.#bytes, entry);
      if (end - content === serial.length && serial.every((b, i) => b === this.#bytes[content + i])) return entry;
    }
    return undefined;
  }

  #entry(offset: number): Element {
    return elementAt(this.#bytes, offset, this.#end, FIELD);
  }
}

/** An entry that cannot be read to the end is still a revocation. */
function readEntry(der: Uint8Array): Revoked {
  const [, date, extensions] = sequence(decode(der, `${FIELD}.entry`), `${FIELD}.entry`);
  let reason: RevocationReason = "unspecified";
  for (const extension of extensions ? sequence(extensions, FIELD) : []) {
    const [type, ...rest] = sequence(extension, FIELD);
    if (oid(type, FIELD) !== "2.5.29.21") continue;
    const value = octetString(rest.at(-1), FIELD);
    reason = REASONS[value[2] ?? 0] ?? "unspecified";
  }
  return { at: time(date, `${FIELD}.entry.date`), reason };
}

/**
 * Takes a list apart (RFC 5280 §5.1).
 * @throws pki/malformed, pki/bad-algorithm, pki/forbidden-use
 */
export function readCrl(der: Uint8Array): CertificateList {
  if (der.length > MAX_CRL_BYTES) throw malformed(FIELD, `more than ${MAX_CRL_BYTES} octets`);
  const own = Uint8Array.from(der);
  const whole = elementAt(own, 0, own.length, FIELD);
  const [tbs, algorithm, signature, ...more] = elementsIn(own, whole, FIELD);
  if (whole.tag !== SEQUENCE || whole.end !== own.length || !tbs || !algorithm || !signature || more.length > 0) {
    throw malformed(FIELD, "three parts wanted");
  }
  const parts = elementsIn(own, tbs, FIELD);
  if (parts[0]?.tag === INTEGER) parts.shift();
  const [inner, issuer, thisUpdate, ...rest] = parts;
  if (!inner || !issuer || !thisUpdate) throw malformed(FIELD, "too few parts");
  const outer = octetsOf(own, algorithm);
  if (Buffer.compare(octetsOf(own, inner), outer) !== 0) {
    throw malformed(`${FIELD}.signatureAlgorithm`, "not the one that was signed");
  }
  const next = rest[0] && isTime(rest[0]) ? rest.shift() : undefined;
  const list = rest[0]?.tag === SEQUENCE ? rest.shift() : undefined;
  const extensions = rest[0]?.tag === CRL_EXTENSIONS ? rest.shift() : undefined;
  if (rest.length > 0) throw malformed(FIELD, "parts that do not belong there");
  const bits = bitString(decode(octetsOf(own, signature), `${FIELD}.signature`), `${FIELD}.signature`);
  if (bits.unused !== 0) throw malformed(`${FIELD}.signature`, "unused bits");
  const timeOf = (e: Element) => time(decode(octetsOf(own, e), FIELD), FIELD);
  const entries = list && new Entries(own, list);
  const { scope, number, base, authorityKeyId } = readExtensions(extensions && octetsOf(own, extensions));
  return {
    fingerprint: fingerprintOf(own),
    issuer: readName(decode(octetsOf(own, issuer), `${FIELD}.issuer`), `${FIELD}.issuer`),
    authorityKeyId,
    number: number ?? 0n,
    base,
    thisUpdate: timeOf(thisUpdate),
    nextUpdate: next && timeOf(next),
    scope: scope ?? "all",
    entries: entries?.count ?? 0,
    scheme: readScheme(decode(outer, FIELD), `${FIELD}.signatureAlgorithm`),
    tbs: octetsOf(own, tbs),
    signature: Uint8Array.from(bits.octets),
    lookUp(serial) {
      const entry = entries?.find(Buffer.from(serial, "hex"));
      return entry && readEntry(octetsOf(own, entry));
    },
  };
}

/**
 * Whether `issuer` signed the list and may sign lists.
 * @throws pki/untrusted, pki/forbidden-use, pki/bad-signature
 */
export function verifyCrl(crl: CertificateList, issuer: Certificate): void {
  const ids = crl.authorityKeyId !== undefined && issuer.subjectKeyId !== undefined;
  if (!sameName(crl.issuer, issuer.subject) || (ids && crl.authorityKeyId !== issuer.subjectKeyId)) {
    throw fault("pki/untrusted", "the list is another issuer's", {
      field: `${FIELD}.issuer`,
      facts: { ours: issuer.subject.text, theirs: crl.issuer.text },
    });
  }
  if (issuer.keyUsage && !issuer.keyUsage.has(KEY_USAGE.crlSign)) {
    throw fault("pki/forbidden-use", `${issuer.subject.text} may not sign lists`, { field: "issuer.keyUsage" });
  }
  if (!verifySignature(crl.scheme, crl.tbs, issuer, crl.signature)) {
    throw fault("pki/bad-signature", `the list is not signed by ${issuer.subject.text}`, { field: FIELD });
  }
}
