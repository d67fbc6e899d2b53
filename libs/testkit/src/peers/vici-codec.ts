import { Buffer } from "node:buffer";

/**
 * A VICI message: sections of keys with a value, lists of values, and further sections.
 * Format: strongSwan, src/libcharon/plugins/vici/README.md.
 */
export type ViciValue = string | Uint8Array | readonly (string | Uint8Array)[] | ViciSection;
export interface ViciSection {
  readonly [key: string]: ViciValue;
}
/** What comes back: every value read as Latin-1 text, which keeps binary values whole. */
export type ViciReplyValue = string | string[] | ViciReply;
export interface ViciReply {
  [key: string]: ViciReplyValue;
}

const SECTION_START = 1;
const SECTION_END = 2;
const KEY_VALUE = 3;
const LIST_START = 4;
const LIST_ITEM = 5;
const LIST_END = 6;

const name8 = (text: string) => {
  const bytes = Buffer.from(text, "latin1");
  if (bytes.length > 255) throw new RangeError(`VICI name of ${bytes.length} octets; at most 255 fit`);
  return Buffer.concat([Buffer.of(bytes.length), bytes]);
};
const value16 = (value: string | Uint8Array) => {
  const bytes = typeof value === "string" ? Buffer.from(value, "utf8") : Buffer.from(value);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(bytes.length);
  return Buffer.concat([length, bytes]);
};

const isList = (value: ViciValue): value is readonly (string | Uint8Array)[] => Array.isArray(value);
const isSection = (value: ViciValue): value is ViciSection =>
  typeof value === "object" && !(value instanceof Uint8Array) && !Array.isArray(value);

export function encodeMessage(section: ViciSection): Buffer {
  const parts: Buffer[] = [];
  for (const [key, value] of Object.entries(section)) {
    if (isList(value)) {
      parts.push(Buffer.of(LIST_START), name8(key));
      for (const item of value) parts.push(Buffer.of(LIST_ITEM), value16(item));
      parts.push(Buffer.of(LIST_END));
    } else if (isSection(value)) {
      parts.push(Buffer.of(SECTION_START), name8(key), encodeMessage(value), Buffer.of(SECTION_END));
    } else {
      parts.push(Buffer.of(KEY_VALUE), name8(key), value16(value));
    }
  }
  return Buffer.concat(parts);
}

/** Reads a whole message; throws `RangeError` when it is cut short or its sections do not match. */
export function decodeMessage(bytes: Buffer): ViciReply {
  let at = 0;
  const take = (length: number) => {
    if (at + length > bytes.length) throw new RangeError(`VICI message cut short at octet ${at}`);
    at += length;
    return bytes.subarray(at - length, at);
  };
  const name = () => take(take(1).readUInt8()).toString("latin1");
  const value = () => take(take(2).readUInt16BE()).toString("latin1");
  const root: ViciReply = {};
  const open: ViciReply[] = [root];
  let list: string[] | undefined;
  while (at < bytes.length) {
    const current = open.at(-1) as ViciReply;
    const element = take(1).readUInt8();
    if (element === SECTION_START) {
      const inner: ViciReply = {};
      current[name()] = inner;
      open.push(inner);
    } else if (element === SECTION_END && open.length > 1) {
      open.pop();
    } else if (element === KEY_VALUE) {
      current[name()] = value();
    } else if (element === LIST_START) {
      list = [];
      current[name()] = list;
    } else if (element === LIST_ITEM && list) {
      list.push(value());
    } else if (element === LIST_END && list) {
      list = undefined;
    } else {
      throw new RangeError(`VICI element ${element} where none may stand, at octet ${at - 1}`);
    }
  }
  if (open.length !== 1 || list) throw new RangeError("VICI message ends inside a section");
  return root;
}
