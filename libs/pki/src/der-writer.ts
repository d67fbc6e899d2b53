import { IpAddress } from "@sallyport/base";

/**
 * DER is written by hand, and put together as a tree that is written out once: a certificate or an OCSP answer costs less than the
 * signature under it that way.
 */
export type Der = Uint8Array | DerNode;

interface DerNode {
  readonly tag: number;
  /** Octets of the content. */
  readonly length: number;
  readonly parts: readonly (Der | string)[];
}

const headerOf = (length: number) =>
  length < 0x80 ? 2 : length < 0x100 ? 3 : length < 0x1_0000 ? 4 : length < 0x100_0000 ? 5 : 6;

const sizeOf = (part: Der) => (part instanceof Uint8Array ? part.length : headerOf(part.length) + part.length);

function node(tag: number, parts: readonly Der[]): DerNode {
  let length = 0;
  for (const part of parts) length += sizeOf(part);
  return { tag, length, parts };
}

const textNode = (tag: number, text: string): DerNode => ({ tag, length: Buffer.byteLength(text), parts: [text] });

function write(out: Buffer, start: number, { tag, length, parts }: DerNode): number {
  const header = headerOf(length);
  let at = start;
  out[at++] = tag;
  if (header === 2) out[at++] = length;
  else {
    out[at++] = 0x80 | (header - 2);
    for (let shift = 8 * (header - 3); shift >= 0; shift -= 8) out[at++] = (length >>> shift) & 0xff;
  }
  for (const part of parts) {
    if (typeof part === "string") at += out.write(part, at);
    else if (part instanceof Uint8Array) {
      out.set(part, at);
      at += part.length;
    } else at = write(out, at, part);
  }
  return at;
}

/** The octets of a value. */
export function encode(der: Der): Uint8Array {
  if (der instanceof Uint8Array) return der;
  const out = Buffer.alloc(sizeOf(der));
  write(out, 0, der);
  return out;
}

export const sequenceOf = (...parts: readonly Der[]): Der => node(0x30, parts);
export const setOf = (...parts: readonly Der[]): Der => node(0x31, parts);
export const octetsDer = (content: Der): Der => node(0x04, [content]);
const ZERO = Uint8Array.of(0);
/** All bits used. */
export const bitsDer = (octets: Uint8Array): Der => node(0x03, [ZERO, octets]);
export const booleanDer = (truth: boolean): Der => Uint8Array.of(0x01, 1, truth ? 0xff : 0);
export const nullDer: Uint8Array = Uint8Array.of(0x05, 0);
export const enumeratedDer = (n: number): Der => Uint8Array.of(0x0a, 1, n);
export const utf8Der = (text: string): Der => textNode(0x0c, text);
/** A BMPString from its octets, UTF-16 with the big end first. */
export const bmpDer = (utf16: Uint8Array): Der => node(0x1e, [utf16]);
export const printableDer = (text: string): Der => textNode(0x13, text);
/** [tag] EXPLICIT, or a constructed value under an implicit tag. */
export const constructedTag = (tag: number, ...inner: readonly Der[]): Der => node(0xa0 | tag, inner);
/** [tag] IMPLICIT of a primitive value: `content` without its own header. */
export const primitiveTag = (tag: number, content: Uint8Array): Der => node(0x80 | tag, [content]);

/** A non-negative INTEGER from its octets, most significant first. */
export function integerDer(octets: Uint8Array): Der {
  let from = 0;
  while (from < octets.length - 1 && octets[from] === 0) from++;
  const own = octets.length === 0 ? ZERO : octets.subarray(from);
  return (own[0] as number) > 0x7f ? node(0x02, [ZERO, own]) : node(0x02, [own]);
}

export function numberDer(n: number | bigint): Der {
  const hex = n.toString(16);
  return integerDer(Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, "hex"));
}

/** Bits by number, as keyUsage has them (X.690 §11.2.2: without trailing zeros). */
export function namedBitsDer(bits: readonly number[]): Der {
  const highest = Math.max(...bits);
  const octets = new Uint8Array((highest >> 3) + 1);
  for (const bit of bits) octets[bit >> 3] = (octets[bit >> 3] as number) | (0x80 >> (bit & 7));
  return node(0x03, [Uint8Array.of(7 - (highest & 7)), octets]);
}

const OIDS = new Map<string, Uint8Array>();

/** Only for names that this library knows: each is remembered. */
export function oidDer(name: string): Uint8Array {
  const known = OIDS.get(name);
  if (known !== undefined) return known;
  const [first = 0, second = 0, ...arcs] = name.split(".").map(Number);
  const octets = [first * 40 + second, ...arcs].flatMap((arc) => {
    const digits = [arc % 128];
    for (let rest = Math.floor(arc / 128); rest > 0; rest = Math.floor(rest / 128)) digits.unshift(0x80 | (rest % 128));
    return digits;
  });
  const der = encode(node(0x06, [Uint8Array.from(octets)]));
  OIDS.set(name, der);
  return der;
}

/** UTCTime until 2049, GeneralizedTime from 2050 on (RFC 5280 §4.1.2.5); whole seconds. */
export function timeDer(at: number): Der {
  const text = digitsOf(at);
  return at < Date.UTC(2050, 0) ? textNode(0x17, text.slice(2)) : generalizedTimeDer(at);
}

export const generalizedTimeDer = (at: number): Der => textNode(0x18, digitsOf(at));

const two = (n: number) => (n < 10 ? `0${n}` : `${n}`);

function digitsOf(at: number): string {
  const d = new Date(at);
  const day = `${d.getUTCFullYear()}`.padStart(4, "0") + two(d.getUTCMonth() + 1) + two(d.getUTCDate());
  return `${day}${two(d.getUTCHours())}${two(d.getUTCMinutes())}${two(d.getUTCSeconds())}Z`;
}

/** A name that a certificate is asked for or carries. */
export interface SubjectName {
  readonly type: "dns" | "email" | "ip" | "uri";
  readonly value: string;
}

const ia5 = (tag: number, text: string) => textNode(0x80 | tag, text);

/** A GeneralName (RFC 5280 §4.2.1.6). */
export function generalNameDer({ type, value: text }: SubjectName): Der {
  switch (type) {
    case "email":
      return ia5(1, text);
    case "dns":
      return ia5(2, text);
    case "uri":
      return ia5(6, text);
    case "ip":
      return primitiveTag(7, IpAddress.parse(text).bytes);
  }
}
