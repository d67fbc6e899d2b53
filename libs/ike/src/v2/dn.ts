/** Distinguished names (RFC 5280 §4.1.2.4), as far as identities need them: to be compared, matched and shown. */

/** One attribute. `text` is undefined for values that are no strings. */
export interface DnAttribute {
  /** DER of the object identifier's content, hexadecimal. */
  readonly oid: string;
  readonly value: Uint8Array;
  readonly text: string | undefined;
}

/** Attribute types that people know by a short name (RFC 4519, RFC 4514 §3, RFC 5280 §4.1.2.6). */
const SHORT: readonly (readonly [oid: string, name: string])[] = [
  ["550403", "CN"],
  ["550404", "SN"],
  ["550405", "serialNumber"],
  ["550406", "C"],
  ["550407", "L"],
  ["550408", "ST"],
  ["550409", "STREET"],
  ["55040a", "O"],
  ["55040b", "OU"],
  ["55040c", "T"],
  ["55042a", "GN"],
  ["0992268993f22c640119", "DC"],
  ["0992268993f22c640101", "UID"],
  ["2a864886f70d010901", "E"],
];
const NAME_OF = new Map(SHORT);
const OID_OF = new Map(SHORT.map(([oid, name]) => [name.toLowerCase(), oid]));

const SEQUENCE = 0x30;
const SET = 0x31;
const OBJECT_IDENTIFIER = 0x06;
const UTF8_STRING = 0x0c;
const PRINTABLE_STRING = 0x13;
const IA5_STRING = 0x16;
const BMP_STRING = 0x1e;
const MAX_ATTRIBUTES = 64;

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** The content of the element at the start of `der` and what follows it; undefined for anything but definite, short-enough DER. */
function element(der: Uint8Array, tag: number): { content: Uint8Array; rest: Uint8Array } | undefined {
  const [found, first] = der;
  if (found !== tag || first === undefined) return undefined;
  let [at, length] = [2, first];
  if (first > 0x80) {
    const octets = first & 0x7f;
    if (octets > 2 || der.length < 2 + octets) return undefined;
    length = der.subarray(2, 2 + octets).reduce((n, b) => n * 256 + b, 0);
    at += octets;
  } else if (first === 0x80) return undefined;
  if (der.length < at + length) return undefined;
  return { content: der.subarray(at, at + length), rest: der.subarray(at + length) };
}

function textOf(tag: number, value: Uint8Array): string | undefined {
  try {
    if (tag === UTF8_STRING || tag === PRINTABLE_STRING || tag === IA5_STRING) return utf8.decode(value);
  } catch {
    return undefined;
  }
  if (tag !== BMP_STRING || value.length % 2 !== 0) return undefined;
  let out = "";
  for (let i = 0; i < value.length; i += 2) out += String.fromCharCode(((value[i] ?? 0) << 8) | (value[i + 1] ?? 0));
  return out;
}

/** Relative names in order, each with its attributes; undefined for what is no Name. */
export function readDn(der: Uint8Array): readonly (readonly DnAttribute[])[] | undefined {
  const name = element(der, SEQUENCE);
  if (!name || name.rest.length > 0) return undefined;
  const out: DnAttribute[][] = [];
  let count = 0;
  for (let left = name.content; left.length > 0; ) {
    const set = element(left, SET);
    if (!set) return undefined;
    left = set.rest;
    const attributes: DnAttribute[] = [];
    for (let within = set.content; within.length > 0; ) {
      const pair = element(within, SEQUENCE);
      const oid = pair && element(pair.content, OBJECT_IDENTIFIER);
      const value = oid && element(oid.rest, oid.rest[0] ?? 0);
      if (!pair || !oid || !value || value.rest.length > 0 || ++count > MAX_ATTRIBUTES) return undefined;
      const text = textOf(oid.rest[0] ?? 0, value.content);
      attributes.push({ oid: Buffer.from(oid.content).toString("hex"), value: value.content, text });
      within = pair.rest;
    }
    if (attributes.length === 0) return undefined;
    out.push(attributes);
  }
  return out;
}

/** RFC 5280 §7.1: strings without regard to case, kind of string, and how much space there is. */
function sameAttribute(a: DnAttribute, b: DnAttribute): boolean {
  if (a.oid !== b.oid) return false;
  if (a.text !== undefined && b.text !== undefined) return folded(a.text) === folded(b.text);
  return a.text === b.text && a.value.length === b.value.length && a.value.every((x, i) => x === b.value[i]);
}

function folded(text: string): string {
  return text.normalize("NFKC").toLowerCase().replace(/ +/g, " ").trim();
}

/** Whether `der` is the same name as `pattern`; in a pattern, an attribute of the value `*` may have any. */
export function matchesDn(pattern: Uint8Array, der: Uint8Array, wildcards: boolean): boolean {
  const [wanted, given] = [readDn(pattern), readDn(der)];
  if (!wanted || !given || wanted.length !== given.length) return false;
  return wanted.every((set, i) => {
    const other = given[i] ?? [];
    if (set.length !== other.length) return false;
    return set.every((w) => other.some((o) => (wildcards && w.text === "*" ? w.oid === o.oid : sameAttribute(w, o))));
  });
}

/** RFC 4514, but in the order of the DER, as most daemons show it: `C=AT, O=Acme, CN=gw`. Undefined for what is no Name. */
export function dnText(der: Uint8Array): string | undefined {
  const sets = readDn(der);
  if (!sets) return undefined;
  return sets.map((set) => set.map(attributeText).join("+")).join(", ");
}

function attributeText({ oid, value, text }: DnAttribute): string {
  const name = NAME_OF.get(oid) ?? `OID.${oid}`;
  if (text === undefined) return `${name}=#${Buffer.from(value).toString("hex")}`;
  const short = text.length > 256 ? `${text.slice(0, 256)}…` : text;
  // RFC 4514 §2.4: what separates is escaped, and as octets whatever could forge a log line.
  const safe = short.replace(/[,+"\\<>;=]/g, "\\$&").replace(/[^\x20-\x7e]/gu, (c) => utf8Escape(c));
  return `${name}=${safe}`;
}

function utf8Escape(character: string): string {
  return Array.from(new TextEncoder().encode(character), (b) => `\\${b.toString(16).padStart(2, "0")}`).join("");
}

/**
 * DER of a Name from `C=AT, O=Acme, CN=*`: short names of attribute types, in the order of the DER, values without `,` and `=`.
 * Undefined when that is not what `text` is.
 */
export function dnFromText(text: string): Uint8Array | undefined {
  const sets: number[] = [];
  for (const part of text.split(",")) {
    const [name = "", value = "", ...more] = part.split("=").map((x) => x.trim());
    const oid = OID_OF.get(name.toLowerCase());
    if (!oid || value === "" || more.length > 0) return undefined;
    const octets = new TextEncoder().encode(value);
    if (octets.length > 1000) return undefined;
    const kind =
      name.toLowerCase() === "c"
        ? PRINTABLE_STRING
        : ["dc", "e"].includes(name.toLowerCase())
          ? IA5_STRING
          : UTF8_STRING;
    const pair = tlv(SEQUENCE, [...tlv(OBJECT_IDENTIFIER, Buffer.from(oid, "hex")), ...tlv(kind, octets)]);
    sets.push(...tlv(SET, pair));
  }
  return sets.length > 60_000 ? undefined : Uint8Array.from(tlv(SEQUENCE, sets));
}

function tlv(tag: number, content: Iterable<number>): number[] {
  const body = [...content];
  const { length } = body;
  if (length < 0x80) return [tag, length, ...body];
  return length < 0x100 ? [tag, 0x81, length, ...body] : [tag, 0x82, length >> 8, length & 0xff, ...body];
}
