import { isFault, Reader, type Writer } from "@sallyport/base";
import { atMost, malformed, type PayloadCodec } from "./codec.js";
import { fault } from "./faults.js";
import { LIMITS } from "./limits.js";
import { auth } from "./payloads/auth.js";
import { cert } from "./payloads/cert.js";
import { certreq } from "./payloads/certreq.js";
import { config } from "./payloads/config.js";
import { del } from "./payloads/delete.js";
import { eap } from "./payloads/eap.js";
import { idi, idr } from "./payloads/id.js";
import { ke } from "./payloads/ke.js";
import { nonce } from "./payloads/nonce.js";
import { notify } from "./payloads/notify.js";
import { sa } from "./payloads/sa.js";
import { tsi, tsr } from "./payloads/ts.js";
import { vendor } from "./payloads/vendor.js";
import { PAYLOAD } from "./registry.js";
import type { EncryptedPayload, Payload } from "./types.js";

const CRITICAL = 0x80;
const GENERIC_HEADER = 4;
const FRAGMENT_HEADER = 4;

/** Payloads that have a parser in the clear; all others exist only inside SK. */
const CLEAR: readonly PayloadCodec[] = [sa, ke, nonce, notify, vendor, certreq];
const INNER: readonly PayloadCodec[] = [...CLEAR, idi, idr, cert, auth, del, tsi, tsr, config, eap];

const clearByType = new Map(CLEAR.map((codec) => [codec.type, codec]));
const innerByType = new Map(INNER.map((codec) => [codec.type, codec]));
const byKind = new Map<string, PayloadCodec>(INNER.map((codec) => [codec.kind, codec]));

export interface Chain {
  readonly payloads: Payload[];
  readonly encrypted?: EncryptedPayload;
}

/** The payloads between IKE header and end of message; SK or SKF, when there, is the last and stays closed. */
export function decodeClearChain(firstType: number, r: Reader): Chain {
  return decodeChain(firstType, r, clearByType, true);
}

/** The payloads inside SK. */
export function decodeInnerChain(firstType: number, r: Reader): Payload[] {
  return decodeChain(firstType, r, innerByType, false).payloads;
}

/** RFC 7296 §3.2. */
function decodeChain(firstType: number, r: Reader, codecs: ReadonlyMap<number, PayloadCodec>, clear: boolean): Chain {
  const payloads: Payload[] = [];
  for (let type = firstType; type !== PAYLOAD.NONE; ) {
    atMost(payloads.length + 1, LIMITS.payloads, "payloads", r.offset);
    const at = r.offset;
    const next = r.u8("payload.next");
    const critical = (r.u8("payload.flags") & CRITICAL) !== 0;
    const length = r.u16("payload.length");
    if (length < GENERIC_HEADER) throw malformed("payload.length", at + 2, length, `at least ${GENERIC_HEADER}`);
    const body = r.sub(length - GENERIC_HEADER, "payload");
    if (type === PAYLOAD.SK || type === PAYLOAD.SKF) {
      if (!clear) throw notHere(type, at, "an encrypted payload inside another");
      r.end("SK");
      return { payloads, encrypted: decodeEncrypted(type, next, body) };
    }
    const codec = codecs.get(type);
    if (codec) payloads.push(codec.decode(body));
    else if (clear && innerByType.has(type)) throw notHere(type, at, "outside an encrypted payload");
    else if (critical) {
      throw fault("ike/unsupported-critical-payload", `payload of unknown type ${type} is critical`, {
        field: "payload.type",
        offset: at,
        value: String(type),
        expected: "a known type, or no critical bit",
      });
    } else payloads.push({ kind: "unknown", type, data: body.rest("payload") });
    type = next;
  }
  r.end("payloads");
  return { payloads };
}

function notHere(type: number, offset: number, where: string) {
  const name = innerByType.get(type)?.kind ?? (type === PAYLOAD.SK ? "SK" : "SKF");
  return fault("ike/payload-not-allowed", `${name} payload ${where}`, { field: name, offset, value: where });
}

/** RFC 7296 §3.14, RFC 7383 §2.5. */
function decodeEncrypted(type: number, next: number, body: Reader): EncryptedPayload {
  if (type === PAYLOAD.SK) return { kind: "SK", firstPayload: next, bodyOffset: body.offset };
  const at = body.offset;
  const number = body.u16("SKF.number");
  const total = body.u16("SKF.total");
  if (number === 0 || number > total) throw malformed("SKF.number", at, number, `1 to ${total}`);
  if (number > 1 && next !== PAYLOAD.NONE) {
    throw malformed("SKF.next", at - GENERIC_HEADER, next, "0 after the first fragment");
  }
  atMost(total, LIMITS.fragments, "SKF.total", at + 2);
  return { kind: "SKF", firstPayload: next, fragment: { number, total }, bodyOffset: body.offset };
}

function payloadType(p: Payload): number {
  return p.kind === "unknown" ? p.type : codecOf(p).type;
}

function codecOf(p: Payload): PayloadCodec {
  const codec = byKind.get(p.kind);
  if (!codec) throw fault("ike/malformed-payload", `no codec for ${p.kind}`, { field: "payload.kind", value: p.kind });
  return codec;
}

/** Type of the first of `payloads`, 0 for none: what goes into the field before them. */
export function firstType(payloads: readonly Payload[]): number {
  return payloads[0] ? payloadType(payloads[0]) : PAYLOAD.NONE;
}

/** Writes `payloads` as a chain whose last member names `lastNext`. The critical bit is never set, RFC 7296 §2.5. */
export function encodeChain(w: Writer, payloads: readonly Payload[], lastNext: number = PAYLOAD.NONE): void {
  for (const [i, p] of payloads.entries()) {
    const at = w.length;
    const following = payloads[i + 1];
    w.u8(following ? payloadType(following) : lastNext).zero(3);
    if (p.kind === "unknown") w.bytes(p.data);
    else codecOf(p).encode(w, p);
    const length = w.length - at;
    if (length > 0xffff) {
      throw fault("ike/too-large", `${p.kind} payload of ${length} octets`, {
        field: p.kind,
        value: String(length),
        expected: "at most 65535 octets",
      });
    }
    w.patchU16(at + 2, length);
  }
}

/** Writes the generic header of SK or SKF, and for SKF the fragment header; the body of `bodyBytes` octets follows. */
export function encodeEncryptedHeader(
  w: Writer,
  firstPayload: number,
  bodyBytes: number,
  fragment?: { readonly number: number; readonly total: number },
): void {
  const length = GENERIC_HEADER + (fragment ? FRAGMENT_HEADER : 0) + bodyBytes;
  if (length > 0xffff) {
    throw fault("ike/too-large", `encrypted payload of ${length} octets`, {
      field: "SK",
      value: String(length),
      expected: "at most 65535 octets",
    });
  }
  w.u8(firstPayload).u8(0).u16(length);
  if (fragment) w.u16(fragment.number).u16(fragment.total);
}

/** Runs a decoder; what its cursor refuses becomes a fault of this library, with the same field and offset. */
export function decoding<T>(code: "ike/malformed-message" | "ike/malformed-payload", run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (!isFault(error) || !error.code.startsWith("base/")) throw error;
    throw fault(code, error.message, {
      ...(error.field !== undefined && { field: error.field }),
      ...(error.offset !== undefined && { offset: error.offset }),
      ...(error.value !== undefined && { value: error.value }),
      ...(error.expected !== undefined && { expected: error.expected }),
      cause: error,
    });
  }
}
