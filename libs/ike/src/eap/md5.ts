import { createHash, timingSafeEqual } from "node:crypto";
import { Reader } from "@sallyport/base";
import { concat } from "../crypto/bytes.js";
import { malformed, type PeerOutcome, type PeerTurn, type ServerOutcome, unexpected } from "./outcome.js";
import type { EapContext } from "./types.js";
import { passwordOf, type ServerTurn, wrongCredentials } from "./user.js";

/** EAP-MD5 (RFC 3748 §5.4) is CHAP (RFC 1994 §4.1): the hash covers identifier, password and challenge. */
export interface Md5Server {
  readonly method: "md5";
  readonly challenge: Uint8Array;
}

export interface Md5Peer {
  readonly method: "md5";
}

const HASH_BYTES = 16;
const MAX_CHALLENGE_BYTES = 255;

export function chapResponse(identifier: number, password: Uint8Array, challenge: Uint8Array): Uint8Array {
  const octets = concat(Uint8Array.of(identifier), password, challenge);
  return Uint8Array.from(createHash("md5").update(octets).digest());
}

/** Value-Size, Value, and a name that nobody needs, RFC 1994 §4.1. */
function sizedValue(data: Uint8Array, min: number, max: number): Uint8Array {
  const r = new Reader(data);
  const size = r.u8("EAP.valueSize");
  if (size < min || size > max) throw malformed("md5", "valueSize", size, min === max ? `${min}` : `${min} to ${max}`);
  return r.bytes(size, "EAP.value");
}

const withSize = (value: Uint8Array) => concat(Uint8Array.of(value.length), value);

export function beginMd5(ctx: EapContext): ServerOutcome<Md5Server> {
  const challenge = ctx.rng.bytes(HASH_BYTES);
  return { do: "ask", state: { method: "md5", challenge }, data: withSize(challenge) };
}

export function serveMd5({ challenge }: Md5Server, data: Uint8Array, turn: ServerTurn): ServerOutcome<Md5Server> {
  const value = sizedValue(data, HASH_BYTES, HASH_BYTES);
  const { octets, known } = passwordOf(turn);
  const right = timingSafeEqual(chapResponse(turn.identifier, octets, challenge), value);
  if (!right || !known) throw wrongCredentials(turn, "md5", known);
  return { do: "done", msk: undefined, ground: { password: octets } };
}

export function answerMd5(before: Md5Peer | undefined, data: Uint8Array, turn: PeerTurn): PeerOutcome<Md5Peer> {
  if (before) throw unexpected("a second EAP-MD5 challenge", "success or failure");
  const challenge = Uint8Array.from(sizedValue(data, 1, MAX_CHALLENGE_BYTES));
  const response = chapResponse(turn.identifier, turn.config.password ?? new Uint8Array(), challenge);
  return { do: "reply", state: { method: "md5" }, data: withSize(response), proven: { msk: undefined } };
}
