import { createHmac, timingSafeEqual } from "node:crypto";
import { isFault, Reader, Writer } from "@sallyport/base";
import { fault } from "./faults.js";
import {
  ARCOUNT_AT,
  CLASS,
  type DecodedMessage,
  decodeMessage,
  type ResourceRecord,
  rcodeName,
  TYPE,
  writeRecord,
} from "./message.js";
import { malformed, readName, sameName, writeName } from "./name.js";

export const TSIG_ALGORITHMS = ["hmac-sha256", "hmac-sha512"] as const;
export type TsigAlgorithm = (typeof TSIG_ALGORITHMS)[number];
const HASHES = { "hmac-sha256": "sha256", "hmac-sha512": "sha512" } as const;

/** A key that is shared with a server (RFC 8945 §2). */
export interface TsigKey {
  readonly name: string;
  readonly algorithm: TsigAlgorithm;
  readonly secret: Uint8Array;
}

/** Seconds by which clocks may differ (§10). */
export const FUDGE = 300;
const BADTIME = 18;
const TIME_OCTETS = 6;

/** RDATA (§4.2). */
interface Tsig {
  readonly algorithm: string;
  /** Seconds since 1970. */
  readonly timeSigned: number;
  readonly fudge: number;
  readonly mac: Uint8Array;
  readonly originalId: number;
  readonly error: number;
  readonly other: Uint8Array;
}

export interface Signed {
  readonly message: Uint8Array;
  /** What the answer's signature covers too. */
  readonly mac: Uint8Array;
}

/** Adds a TSIG record to a message that has none (§5.1). `now` is in seconds since 1970; an answer names the `requestMac` of its request. */
export function signMessage(message: Uint8Array, key: TsigKey, now: number, requestMac?: Uint8Array): Signed {
  const r = new Reader(message);
  const id = r.u16("id");
  const values = { timeSigned: now, fudge: FUDGE, error: 0, other: new Uint8Array(0) };
  const mac = macOf(key, message, values, requestMac);
  const data = new Writer(64 + mac.length);
  writeName(data, key.algorithm);
  writeTime(data, now);
  data.u16(FUDGE).u16(mac.length).bytes(mac).u16(id).u16(0).u16(0);
  const w = new Writer(message.length + 128).bytes(message);
  writeRecord(w, { name: key.name, type: TYPE.TSIG, class: CLASS.ANY, ttl: 0, data: data.done() });
  const additionals = new DataView(message.buffer, message.byteOffset).getUint16(ARCOUNT_AT);
  return {
    message: w
      .patchU16(ARCOUNT_AT, additionals + 1)
      .done()
      .slice(),
    mac,
  };
}

/**
 * An answer to a request that was signed, once its signature is found right (§5.3). `now` is in seconds since 1970.
 * @throws dns/malformed, dns/bad-signature, dns/bad-time
 */
export function verifyAnswer(octets: Uint8Array, key: TsigKey, now: number, requestMac: Uint8Array): DecodedMessage {
  const message = decodeMessage(octets);
  const record = message.additionals.at(-1);
  if (record?.type !== TYPE.TSIG || message.lastRecordAt === undefined) {
    throw unsigned("it bears none", message.rcode);
  }
  const tsig = readTsig(record);
  const usual = record.class === CLASS.ANY && record.ttl === 0;
  if (!usual || !sameName(record.name, key.name) || !sameName(tsig.algorithm, key.algorithm)) {
    throw unsigned(`it is of ${record.name}, ${tsig.algorithm}`, tsig.error || message.rcode);
  }
  const bare = new Writer(octets.length).bytes(octets.subarray(0, message.lastRecordAt));
  bare.patchU16(ARCOUNT_AT, message.additionals.length - 1).patchU16(0, tsig.originalId);
  const mac = macOf(key, bare.done(), tsig, requestMac);
  // §5.2.2.1 would allow truncated ones; nobody asked for them.
  if (tsig.mac.length !== mac.length || !timingSafeEqual(tsig.mac, mac)) {
    throw unsigned(tsig.mac.length === 0 ? "the server could not sign it" : "it is wrong", tsig.error || message.rcode);
  }
  const theirs =
    tsig.error === BADTIME && tsig.other.length === TIME_OCTETS ? readTime(new Reader(tsig.other)) : tsig.timeSigned;
  if (tsig.error === BADTIME || Math.abs(now - tsig.timeSigned) > tsig.fudge) {
    throw fault("dns/bad-time", `the server's clock is ${Math.abs(theirs - now)} s from ours`, {
      facts: { ours: String(now), theirs: String(theirs) },
    });
  }
  return message;
}

function unsigned(why: string, rcode: number) {
  return fault("dns/bad-signature", `the answer's signature: ${why} (${rcodeName(rcode)})`, {
    value: rcodeName(rcode),
  });
}

/** §4.3. */
function macOf(
  key: TsigKey,
  message: Uint8Array,
  { timeSigned, fudge, error, other }: Pick<Tsig, "timeSigned" | "fudge" | "error" | "other">,
  requestMac: Uint8Array | undefined,
): Uint8Array {
  const w = new Writer(message.length + 256);
  if (requestMac) w.u16(requestMac.length).bytes(requestMac);
  w.bytes(message);
  // Names in canonical form: lower case, not compressed.
  writeName(w, key.name.toLowerCase(), "key name");
  w.u16(CLASS.ANY).u32(0);
  writeName(w, key.algorithm);
  writeTime(w, timeSigned);
  w.u16(fudge).u16(error).u16(other.length).bytes(other);
  return createHmac(HASHES[key.algorithm], key.secret).update(w.done()).digest();
}

function readTsig({ data }: ResourceRecord): Tsig {
  const r = new Reader(data);
  try {
    // Not compressed (§4.2).
    const algorithm = readName(r, data);
    const timeSigned = readTime(r);
    const fudge = r.u16("fudge");
    const mac = r.bytes(r.u16("mac size"), "mac");
    const originalId = r.u16("original id");
    const error = r.u16("error");
    const other = r.bytes(r.u16("other length"), "other data");
    r.end("TSIG");
    return { algorithm, timeSigned, fudge, mac, originalId, error, other };
  } catch (error) {
    if (isFault(error) && error.code.startsWith("base/")) throw malformed("TSIG", error.message);
    throw error;
  }
}

const writeTime = (w: Writer, seconds: number) => w.u16(Math.floor(seconds / 2 ** 32)).u32(seconds % 2 ** 32);
const readTime = (r: Reader) => r.u16("time signed") * 2 ** 32 + r.u32("time signed");
