import { LIMITS } from "./limits.js";
import { HEADER_BYTES } from "./message.js";
import { NOTIFY, PAYLOAD } from "./registry.js";

const GENERIC_HEADER = 4;
/** Protocol, SPI size and type before the data of a notification without an SPI. */
const NOTIFY_HEADER = 4;
/** RFC 7296 §2.10. */
const NONCE = { min: 16, max: 256 };

/** What a cookie is made from, and the cookie, if any. Views of the request. */
export interface CookiePeek {
  readonly nonce: Uint8Array;
  readonly cookie: Uint8Array | undefined;
}

/**
 * Finds the nonce and the cookie of an IKE_SA_INIT request (RFC 7296 §2.6) without decoding it: all that is done for a stranger
 * while there are too many. Undefined when there is no nonce where one could be.
 */
export function peekCookie(bytes: Uint8Array): CookiePeek | undefined {
  let nonce: Uint8Array | undefined;
  let cookie: Uint8Array | undefined;
  let type = bytes[16] ?? 0;
  let at = HEADER_BYTES;
  for (let n = 0; type !== PAYLOAD.NONE && n < LIMITS.payloads; n++) {
    const length = u16(bytes, at + 2);
    if (length < GENERIC_HEADER || at + length > bytes.length) return undefined;
    const body = at + GENERIC_HEADER;
    const end = at + length;
    if (type === PAYLOAD.Nonce) nonce = bytes.subarray(body, end);
    else if (type === PAYLOAD.N && isCookie(bytes, body, end)) cookie = bytes.subarray(body + NOTIFY_HEADER, end);
    type = bytes[at] ?? 0;
    at = end;
  }
  if (!nonce || nonce.length < NONCE.min || nonce.length > NONCE.max) return undefined;
  return { nonce, cookie };
}

function isCookie(bytes: Uint8Array, body: number, end: number): boolean {
  return end >= body + NOTIFY_HEADER && bytes[body + 1] === 0 && u16(bytes, body + 2) === NOTIFY.COOKIE;
}

/** 0 past the end. */
function u16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}
