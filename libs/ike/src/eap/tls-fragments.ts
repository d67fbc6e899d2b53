import { Reader, Writer } from "@sallyport/base";
import { fault } from "./faults.js";
import { malformed } from "./outcome.js";

/** EAP-TLS packets, RFC 5216 §3.1: flags, the length of the whole message where `L` says so, and a part of it. */
const FLAG = { LENGTH: 0x80, MORE: 0x40, START: 0x20 } as const;
const FRAGMENT_BYTES = 1024;
/** A flight is a few certificates; longer ones are refused before they are kept. */
const MAX_MESSAGE_BYTES = 65_536;

export const TLS_START = Uint8Array.of(FLAG.START);
export const TLS_ACK = Uint8Array.of(0);

/** What has come of a message so far. */
export interface Incoming {
  readonly parts: readonly Uint8Array[];
  readonly got: number;
  /** As its first fragment said. */
  readonly total: number | undefined;
}

export const NOTHING: Incoming = { parts: [], got: 0, total: undefined };

export interface TlsPacket {
  readonly start: boolean;
  readonly more: boolean;
  readonly total: number | undefined;
  readonly data: Uint8Array;
}

export function readTls(octets: Uint8Array): TlsPacket {
  const r = new Reader(octets);
  const flags = r.u8("EAP.flags");
  const total = flags & FLAG.LENGTH ? r.u32("EAP.tlsLength") : undefined;
  return {
    start: (flags & FLAG.START) !== 0,
    more: (flags & FLAG.MORE) !== 0,
    total,
    data: r.rest("EAP.tlsData"),
  };
}

/** Nothing but the word to go on. */
export function isAck(p: TlsPacket): boolean {
  return !p.start && !p.more && p.data.length === 0;
}

/** Adds a fragment; `whole` is there with the last one. */
export function add(before: Incoming, p: TlsPacket): { readonly incoming: Incoming; readonly whole?: Uint8Array } {
  const first = before.parts.length === 0;
  if (p.start) throw malformed("tls", "flags", "a start within the conversation", "a fragment");
  if (p.data.length === 0) throw malformed("tls", "tlsData", "0 octets", "a fragment");
  if (first && p.more && p.total === undefined) throw malformed("tls", "flags", "no length", "L in the first fragment");
  const total = first ? p.total : before.total;
  if (!first && p.total !== undefined && p.total !== total) {
    throw malformed("tls", "tlsLength", p.total, String(total ?? "none"));
  }
  const got = before.got + p.data.length;
  const most = total ?? MAX_MESSAGE_BYTES;
  if (most > MAX_MESSAGE_BYTES || got > most) {
    const value = Math.max(got, total ?? 0);
    throw fault("ike/eap-oversize", `EAP-TLS: a message of ${value} octets`, {
      field: "EAP.tlsLength",
      value: String(value),
      expected: `at most ${Math.min(most, MAX_MESSAGE_BYTES)}`,
    });
  }
  const parts = [...before.parts, Uint8Array.from(p.data)];
  if (p.more) return { incoming: { parts, got, total } };
  if (total !== undefined && got !== total) throw malformed("tls", "tlsLength", total, `${got}, what came`);
  const whole = new Uint8Array(got);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return { incoming: NOTHING, whole };
}

/** The next packet of `message` from `at` on, and where the one after it begins. */
export function fragment(message: Uint8Array, at: number): { readonly data: Uint8Array; readonly next: number } {
  const next = Math.min(message.length, at + FRAGMENT_BYTES);
  const more = next < message.length;
  const w = new Writer(FRAGMENT_BYTES + 5);
  if (more && at === 0) w.u8(FLAG.LENGTH | FLAG.MORE).u32(message.length);
  else w.u8(more ? FLAG.MORE : 0);
  return { data: w.bytes(message.subarray(at, next)).done(), next };
}
