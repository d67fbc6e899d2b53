import * as asn1js from "asn1js";
import { fault } from "./faults.js";

/** A decoded ASN.1 value; `valueBeforeDecodeView` is its whole DER. */
export type Node = asn1js.BaseBlock;

const MAX_DEPTH = 24;
const MAX_NODES = 4096;

export function malformed(field: string, why: string, cause?: unknown) {
  return fault("pki/malformed", `${field}: ${why}`, { field, ...(cause === undefined ? {} : { cause }) });
}

/** Decodes one DER value that fills `bytes`. Trailing octets are refused, and so is BER that is not DER. */
export function decode(bytes: Uint8Array, field: string): Node {
  let decoded: asn1js.FromBerResult;
  try {
    decoded = asn1js.fromBER(bytes, { maxDepth: MAX_DEPTH, maxNodes: MAX_NODES, parseEmbedded: false });
  } catch (cause) {
    throw malformed(field, "not DER", cause);
  }
  if (decoded.offset === -1 || decoded.result.error !== "") throw malformed(field, "not DER");
  if (decoded.offset !== bytes.length) throw malformed(field, "octets after the end");
  requireDer(decoded.result, field);
  return decoded.result;
}

/** BER that is not DER is where two decoders read two things: lengths must be definite, shortest, and add up. */
function requireDer(node: Node, field: string): void {
  const { lenBlock, idBlock } = node;
  const { length } = lenBlock;
  const shortest = length < 128 ? 1 : length < 256 ? 2 : length < 65_536 ? 3 : 4;
  if (lenBlock.isIndefiniteForm || lenBlock.blockLength !== shortest)
    throw malformed(field, "a length that is not DER");
  if (raw(node).length !== idBlock.blockLength + shortest + length) throw malformed(field, "a length past the end");
  const list = idBlock.tagClass === UNIVERSAL && (idBlock.tagNumber === SEQUENCE || idBlock.tagNumber === SET);
  if (list && !idBlock.isConstructed) throw malformed(field, "a primitive SEQUENCE or SET");
  if (!(node instanceof asn1js.Constructed)) return;
  let inner = 0;
  for (const child of node.valueBlock.value) {
    requireDer(child, field);
    inner += raw(child).length;
  }
  if (inner !== length) throw malformed(field, "lengths that do not add up");
}

const UNIVERSAL = 1;
const CONTEXT = 3;
const SEQUENCE = 16;
const SET = 17;

export function children(node: Node | undefined, field: string): readonly Node[] {
  if (!(node instanceof asn1js.Constructed)) throw malformed(field, "a constructed value wanted");
  return node.valueBlock.value;
}

export function sequence(node: Node | undefined, field: string): readonly Node[] {
  if (!(node instanceof asn1js.Sequence)) throw malformed(field, "SEQUENCE wanted");
  return node.valueBlock.value;
}

export function set(node: Node | undefined, field: string): readonly Node[] {
  if (!(node instanceof asn1js.Set)) throw malformed(field, "SET wanted");
  return node.valueBlock.value;
}

export function oid(node: Node | undefined, field: string): string {
  if (!(node instanceof asn1js.ObjectIdentifier)) throw malformed(field, "OBJECT IDENTIFIER wanted");
  return node.valueBlock.toString();
}

/** Content octets of an INTEGER, two's complement. */
export function integer(node: Node | undefined, field: string): Uint8Array {
  if (!(node instanceof asn1js.Integer)) throw malformed(field, "INTEGER wanted");
  const octets = node.valueBlock.valueHexView;
  if (octets.length === 0) throw malformed(field, "empty INTEGER");
  return octets;
}

/** A small non-negative INTEGER. */
export function count(node: Node | undefined, field: string): number {
  const octets = integer(node, field);
  if (octets.length > 2 || (octets[0] as number) > 127) throw malformed(field, "out of range");
  return octets.reduce((v, b) => v * 256 + b, 0);
}

export function boolean(node: Node | undefined, field: string): boolean {
  if (!(node instanceof asn1js.Boolean)) throw malformed(field, "BOOLEAN wanted");
  return node.valueBlock.value;
}

export function octetString(node: Node | undefined, field: string): Uint8Array {
  if (!(node instanceof asn1js.OctetString) || node.idBlock.isConstructed)
    throw malformed(field, "OCTET STRING wanted");
  return node.valueBlock.valueHexView;
}

export function bitString(node: Node | undefined, field: string): { octets: Uint8Array; unused: number } {
  if (!(node instanceof asn1js.BitString) || node.idBlock.isConstructed) throw malformed(field, "BIT STRING wanted");
  return { octets: node.valueBlock.valueHexView, unused: node.valueBlock.unusedBits };
}

/** UTCTime or GeneralizedTime as milliseconds since 1970. */
export function time(node: Node | undefined, field: string): number {
  if (!(node instanceof asn1js.UTCTime || node instanceof asn1js.GeneralizedTime))
    throw malformed(field, "a time wanted");
  const at = node.toDate().getTime();
  if (!Number.isFinite(at)) throw malformed(field, "not a time");
  return at;
}

export function isNull(node: Node): boolean {
  return node instanceof asn1js.Null;
}

export function isBoolean(node: Node | undefined): boolean {
  return node instanceof asn1js.Boolean;
}

export function isInteger(node: Node | undefined): boolean {
  return node instanceof asn1js.Integer;
}

/** Number of a context-specific tag, else undefined. */
export function contextTag(node: Node | undefined): number | undefined {
  return node?.idBlock.tagClass === CONTEXT ? node.idBlock.tagNumber : undefined;
}

/** The value's whole DER (a view). */
export function raw(node: Node): Uint8Array {
  return node.valueBeforeDecodeView;
}

/** Content octets of a primitive value under an implicit tag (a view). */
export function content(node: Node, field: string): Uint8Array {
  if (node.idBlock.isConstructed) throw malformed(field, "a primitive value wanted");
  return raw(node).subarray(node.idBlock.blockLength + node.lenBlock.blockLength);
}
