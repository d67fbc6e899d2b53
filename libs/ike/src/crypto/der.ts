import { concat } from "./bytes.js";

/** The few DER forms (X.690) that wrap raw keys for node:crypto and name signature algorithms. */

export function tlv(tag: number, ...content: readonly Uint8Array[]): Uint8Array {
  const body = concat(...content);
  const n = body.length;
  const length = n < 0x80 ? [n] : n < 0x100 ? [0x81, n] : [0x82, n >> 8, n & 0xff];
  return concat(Uint8Array.of(tag, ...length), body);
}

export function sequence(...content: readonly Uint8Array[]): Uint8Array {
  return tlv(0x30, ...content);
}

/** INTEGER of an unsigned big-endian number. */
export function integer(value: Uint8Array): Uint8Array {
  const first = value.findIndex((octet) => octet !== 0);
  const digits = first < 0 ? Uint8Array.of(0) : value.subarray(first);
  return (digits[0] ?? 0) & 0x80 ? tlv(2, Uint8Array.of(0), digits) : tlv(2, digits);
}

export function octetString(value: Uint8Array): Uint8Array {
  return tlv(4, value);
}

export function bitString(value: Uint8Array): Uint8Array {
  return tlv(3, Uint8Array.of(0), value);
}

/** OBJECT IDENTIFIER from its dotted form. */
export function oid(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const octets = [40 * first + second];
  for (const arc of rest) {
    const groups = [arc & 0x7f];
    for (let v = arc >>> 7; v > 0; v >>>= 7) groups.unshift((v & 0x7f) | 0x80);
    octets.push(...groups);
  }
  return tlv(6, Uint8Array.from(octets));
}

export const NULL = Uint8Array.of(5, 0);
