import type { Family } from "./address.js";

/** What an SA in tunnel mode adds to a packet. */
export interface EspOverhead {
  /** Of the outer header. */
  readonly family: Family;
  /** ESP in UDP (RFC 3948). */
  readonly encapsulated: boolean;
  readonly ivBytes: number;
  /** What the sealed text is padded to a multiple of, at least 4 octets (RFC 4303 §2.4). */
  readonly alignment: number;
  readonly icvBytes: number;
}

const ESP_HEADER = 8;
/** Pad length and next header. */
const TRAILER = 2;

/** The largest inner packet, in octets, whose ESP packet fits into an outer one of `mtu` octets (RFC 4303 §2). */
export function largestInner(mtu: number, { family, encapsulated, ivBytes, alignment, icvBytes }: EspOverhead): number {
  const outer = (family === 4 ? 20 : 40) + (encapsulated ? 8 : 0);
  const text = Math.floor((mtu - outer - ESP_HEADER - ivBytes - icvBytes) / alignment) * alignment;
  return text - TRAILER;
}
