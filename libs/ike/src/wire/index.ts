export { LIMITS } from "./limits.js";
export {
  decodeInner,
  decodeMessage,
  encodeInner,
  encodeMessage,
  HEADER_BYTES,
  type HeaderPeek,
  peekHeader,
  spiText,
} from "./message.js";
export { messageText, payloadText } from "./message-text.js";
export { type ChildSpi, NOTIFY_DATA, type NotifyDataCodec, notification, type PpkId } from "./notify-data.js";
export { authorityHashes } from "./payloads/certreq.js";
export { type CookiePeek, peekCookie } from "./peek-cookie.js";
export {
  checkPlacement,
  PLACEMENT,
  type Placed,
  type Placement,
  type PlacementName,
  placementOf,
} from "./placement.js";
export { addFragment, type Reassembled, type Reassembly } from "./reassembly.js";
export * from "./registry.js";
export { printable, proposalsText, proposalText, transformText } from "./text.js";
export type * from "./types.js";
