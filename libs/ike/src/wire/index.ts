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
export { authorityHashes } from "./payloads/certreq.js";
export * from "./registry.js";
export type * from "./types.js";
