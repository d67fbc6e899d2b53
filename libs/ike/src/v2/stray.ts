import type { Endpoint } from "@sallyport/base";
import { decodeMessage, EXCHANGE, FLAG, type HeaderPeek, NOTIFY, notification } from "../wire/index.js";
import type { Message } from "../wire/types.js";
import { answerStranger, clearResponse, spiNumber } from "./message.js";
import { enqueue } from "./queue.js";
import type { IkeSa } from "./sa.js";
import type { Turn } from "./turn.js";

interface From {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly datagram: Uint8Array;
}

/** How seldom an IKE SA follows a hint, or tells its peer about a message ID. */
const REMARK_MS = 10_000;

function mayRemark(turn: Turn, sa: IkeSa): boolean {
  return sa.phase === "established" && turn.now - sa.remarkedAt >= REMARK_MS;
}

/** A message to an IKE SA that is not (any more): its sender is told, a few times a second (RFC 7296 §2.21.4). */
export function stranger(turn: Turn, from: From, peek: HeaderPeek): void {
  if (peek.exchange === EXCHANGE.INFORMATIONAL && !peek.response && peek.responderSpi === 0n) {
    invalidSpi(turn, from);
    return;
  }
  turn.count("unknown-ike-spi");
  if (!peek.response)
    answerStranger(turn, from, asSender(clearResponse(peek, [notification("INVALID_IKE_SPI")]), peek));
}

/** The initiator flag says who made the IKE SA, not who speaks; the answer to a responder's request carries it. */
function asSender(datagram: Uint8Array, peek: HeaderPeek): Uint8Array {
  if (!peek.initiator) datagram[19] = (datagram[19] ?? 0) | FLAG.INITIATOR;
  return datagram;
}

export function otherVersion(turn: Turn, from: From, peek: HeaderPeek): void {
  turn.count("other-version");
  if (peek.majorVersion < 3 || peek.response) return;
  answerStranger(turn, from, clearResponse(peek, [notification("INVALID_MAJOR_VERSION")]));
}

/**
 * Somebody claims to get ESP packets that he has no SA for (RFC 7296 §1.5). Nobody has signed that: all that it can do is to
 * begin a liveness check, seldom.
 */
function invalidSpi(turn: Turn, from: From): void {
  turn.count("invalid-spi-hint");
  const { core } = turn;
  if (!core.mayAnswerStranger(turn.now)) return;
  const notify = decodeMessage(from.datagram).payloads.find((p) => p.kind === "N" && p.type === NOTIFY.INVALID_SPI);
  const spi = notify?.kind === "N" ? spiNumber(notify.data) : 0;
  for (const peer of core.index.candidates(from.local, from.remote)) {
    for (const serial of core.table.ofPeer(peer.id)) {
      const sa = core.table.get(serial);
      if (!sa?.remote.address.equals(from.remote.address)) continue;
      if (sa.children.some((c) => c.spiOut === spi)) probe(turn, serial);
    }
  }
}

function probe(turn: Turn, serial: number): void {
  const sa = turn.edit(serial);
  if (!sa || !mayRemark(turn, sa)) return;
  sa.remarkedAt = turn.now;
  turn.count("hint-followed");
  enqueue(turn, sa, { kind: "probe" });
}

/**
 * A message in the clear to an IKE SA that has keys. INVALID_IKE_SPI may be true, or anybody's: the request that it answers goes
 * on being retransmitted and is itself the liveness check (RFC 7296 §2.4, §2.21.4).
 */
export function unprotected(turn: Turn, { payloads }: Message): void {
  const hint = payloads.some((p) => p.kind === "N" && p.type === NOTIFY.INVALID_IKE_SPI);
  turn.count(hint ? "invalid-ike-spi-hint" : "unprotected");
}

/** The peer hears of a message ID that it should not have used, when the message is really its own (RFC 7296 §2.3). */
export function outsideWindow(turn: Turn, sa: IkeSa, from: From, peek: HeaderPeek): void {
  turn.count("request-outside-window");
  if (!sa.protector || !mayRemark(turn, sa)) return;
  sa.protector.open(decodeMessage(from.datagram));
  const draft = turn.edit(sa.serial);
  if (!draft) return;
  draft.remarkedAt = turn.now;
  enqueue(turn, draft, { kind: "wrong-mid", mid: peek.messageId });
}
