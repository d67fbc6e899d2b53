import { Reader, Writer } from "@sallyport/base";
import { fault } from "./faults.js";
import { decodeClearChain, decodeInnerChain, decoding, encodeChain, firstType } from "./framer.js";
import { LIMITS } from "./limits.js";
import { FLAG } from "./registry.js";
import type { Header, Message, Payload } from "./types.js";

/** Octets of the IKE header, RFC 7296 §3.1. */
export const HEADER_BYTES = 28;
const VERSION_2_0 = 0x20;
const LENGTH_OFFSET = 24;

/** What can be told of any datagram before it is decoded; undefined when it is too short for a header. */
export interface HeaderPeek {
  readonly initiatorSpi: bigint;
  readonly responderSpi: bigint;
  readonly majorVersion: number;
  readonly exchange: number;
  readonly initiator: boolean;
  readonly response: boolean;
  readonly messageId: number;
}

/** Reads the header fields without judging them: for dispatch by SPI and version. */
export function peekHeader(bytes: Uint8Array): HeaderPeek | undefined {
  if (bytes.length < HEADER_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const flags = view.getUint8(19);
  return {
    initiatorSpi: view.getBigUint64(0),
    responderSpi: view.getBigUint64(8),
    majorVersion: view.getUint8(17) >> 4,
    exchange: view.getUint8(18),
    initiator: (flags & FLAG.INITIATOR) !== 0,
    response: (flags & FLAG.RESPONSE) !== 0,
    messageId: view.getUint32(20),
  };
}

/**
 * A whole datagram (without the four zero octets of port 4500) as header, clear payloads and the closed SK or SKF.
 * Faults: `ike/malformed-message`, `ike/unsupported-version`, `ike/malformed-payload`, `ike/payload-not-allowed`,
 * `ike/unsupported-critical-payload` (its `value` is the type), `ike/too-many`; nothing else is thrown.
 */
export function decodeMessage(bytes: Uint8Array): Message {
  const r = new Reader(bytes);
  const { header, next } = decoding("ike/malformed-message", () => decodeHeader(r));
  const chain = decoding("ike/malformed-payload", () => decodeClearChain(next, r));
  return { header, ...chain, bytes };
}

/** RFC 7296 §3.1. The minor version and unknown flags are ignored, §2.5. */
function decodeHeader(r: Reader): { header: Header; next: number } {
  const total = r.remaining;
  const initiatorSpi = r.u64("header.initiatorSpi");
  const responderSpi = r.u64("header.responderSpi");
  const next = r.u8("header.nextPayload");
  const version = r.u8("header.version");
  const exchange = r.u8("header.exchange");
  const flags = r.u8("header.flags");
  const messageId = r.u32("header.messageId");
  const length = r.u32("header.length");
  if (version >> 4 !== 2) {
    throw fault("ike/unsupported-version", `IKE version ${version >> 4}.${version & 15}`, {
      field: "header.version",
      offset: 17,
      value: String(version >> 4),
      expected: "2",
    });
  }
  if (length !== total || total > LIMITS.messageBytes) throw badHeader("length", LENGTH_OFFSET, length, String(total));
  if (initiatorSpi === 0n) throw badHeader("initiatorSpi", 0, 0, "not zero");
  const header = {
    initiatorSpi,
    responderSpi,
    exchange,
    initiator: (flags & FLAG.INITIATOR) !== 0,
    response: (flags & FLAG.RESPONSE) !== 0,
    messageId,
  };
  return { header, next };
}

function badHeader(name: string, offset: number, value: number, expected: string) {
  return fault("ike/malformed-message", `header.${name}: ${value}, expected ${expected}`, {
    field: `header.${name}`,
    offset,
    value: String(value),
    expected,
  });
}

/** The payloads of an opened SK, or of all fragments put together. Offsets in faults count from the plaintext's start. */
export function decodeInner(firstPayload: number, plaintext: Uint8Array): Payload[] {
  return decoding("ike/malformed-payload", () => decodeInnerChain(firstPayload, new Reader(plaintext)));
}

/** The chain of `payloads` as it stands inside SK before padding. Fault `ike/too-large` when a payload passes 65535 octets. */
export function encodeInner(payloads: readonly Payload[]): { firstPayload: number; plaintext: Uint8Array } {
  const w = new Writer(512);
  encodeChain(w, payloads);
  return { firstPayload: firstType(payloads), plaintext: w.done() };
}

/** Arrays of up to 64 octets are V8's own and cost a tenth of others; a notification fits, an SA payload does not. */
const CAPACITY = { notification: 64, other: 512 };

/** A message in the clear: IKE_SA_INIT, and errors sent without an IKE SA. */
export function encodeMessage(header: Header, payloads: readonly Payload[]): Uint8Array {
  const w = new Writer(payloads.length === 1 ? CAPACITY.notification : CAPACITY.other);
  encodeHeader(w, header, firstType(payloads), 0);
  encodeChain(w, payloads);
  return finish(w);
}

/** Writes the IKE header; `length` may be patched later by `finish`. */
export function encodeHeader(w: Writer, header: Header, next: number, length: number): void {
  const flags = (header.initiator ? FLAG.INITIATOR : 0) | (header.response ? FLAG.RESPONSE : 0);
  w.u64(header.initiatorSpi).u64(header.responderSpi).u8(next).u8(VERSION_2_0);
  w.u8(header.exchange).u8(flags).u32(header.messageId).u32(length);
}

function finish(w: Writer): Uint8Array {
  if (w.length > LIMITS.messageBytes) {
    throw fault("ike/too-large", `message of ${w.length} octets`, {
      field: "message",
      value: String(w.length),
      expected: `at most ${LIMITS.messageBytes} octets`,
    });
  }
  return w.patchU32(LENGTH_OFFSET, w.length).done();
}

/** An IKE SPI as 16 hex digits. */
export function spiText(spi: bigint): string {
  return spi.toString(16).padStart(16, "0");
}
