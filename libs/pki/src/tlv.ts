import { malformed } from "./der.js";

/** One DER value of a long list, found without decoding what is in it; offsets into the octets that were read. */
export interface Element {
  /** The identifier octet. */
  readonly tag: number;
  readonly from: number;
  readonly content: number;
  readonly end: number;
}

const LONG_TAG = 0x1f;

/** The value that starts at `at` and lies before `limit`. Lists of revoked certificates are too long for a tree of objects. */
export function elementAt(bytes: Uint8Array, at: number, limit: number, field: string): Element {
  const tag = bytes[at];
  const first = bytes[at + 1];
  if (tag === undefined || first === undefined || at + 2 > limit) throw malformed(field, "a value that is cut off");
  if ((tag & LONG_TAG) === LONG_TAG) throw malformed(field, "a tag of several octets");
  let content = at + 2;
  let length = first;
  if (first >= 0x80) {
    const octets = first & 0x7f;
    if (octets === 0 || octets > 4) throw malformed(field, "a length that is not DER");
    length = 0;
    for (let i = 0; i < octets; i++) length = length * 256 + (bytes[content + i] ?? 0);
    content += octets;
    if (length < 0x80 || length < 256 ** (octets - 1)) throw malformed(field, "a length that is not DER");
  }
  if (content + length > limit) throw malformed(field, "a length past the end");
  return { tag, from: at, content, end: content + length };
}

/** The values inside `parent`, which fill it. */
export function elementsIn(bytes: Uint8Array, parent: Pick<Element, "content" | "end">, field: string): Element[] {
  const out: Element[] = [];
  for (let at = parent.content; at < parent.end; ) {
    const element = elementAt(bytes, at, parent.end, field);
    out.push(element);
    at = element.end;
  }
  return out;
}

/** The whole DER of an element, as a view. */
export function octetsOf(bytes: Uint8Array, element: Element): Uint8Array {
  return bytes.subarray(element.from, element.end);
}

/** Content octets of an element, as a view. */
export function contentOf(bytes: Uint8Array, element: Element): Uint8Array {
  return bytes.subarray(element.content, element.end);
}
