import { isFault } from "@sallyport/base";
import type { Input } from "../api.js";
import {
  addFragment,
  checkPlacement,
  decodeInner,
  decodeMessage,
  EXCHANGE,
  FLAG,
  type HeaderPeek,
  notification,
  peekHeader,
} from "../wire/index.js";
import type { Message, Payload } from "../wire/types.js";
import { ANSWERED, EXCHANGES } from "./exchanges.js";
import { isFatal, notifyOf } from "./faults.js";
import { initAnswered } from "./init.js";
import { closeSa } from "./lifecycle.js";
import { answerStranger, clearResponse, respond } from "./message.js";
import { isOn, movePeer } from "./moves.js";
import { encapsulates } from "./nat.js";
import { takePath } from "./roaming.js";
import type { From, IkeSa } from "./sa.js";
import { serveInit } from "./serve-init.js";
import type { Turn } from "./turn.js";

export type Datagram = Extract<Input, { on: "datagram" }>;

/** A datagram, from the cheapest check to the dearest; nothing of it counts before its ICV does. */
export function receive(turn: Turn, from: Datagram): void {
  const peek = peekHeader(from.datagram);
  if (!peek) {
    turn.count("datagram-short");
    return;
  }
  if (peek.majorVersion !== 2) {
    otherVersion(turn, from, peek);
    return;
  }
  if (peek.exchange === EXCHANGE.IKE_SA_INIT && !peek.response) {
    serveInit(turn, from, peek);
    return;
  }
  const serial = turn.core.table.bySpi(peek.initiator ? peek.responderSpi : peek.initiatorSpi);
  const sa = serial === undefined ? undefined : turn.core.table.get(serial);
  if (!sa || sa.initiator === peek.initiator) {
    stranger(turn, from, peek);
    return;
  }
  const theirs = peek.initiator ? peek.initiatorSpi : peek.responderSpi;
  const expected = sa.initiator ? sa.spiR : sa.spiI;
  if (sa.phase === "init") {
    inInit(turn, sa, from, peek);
    return;
  }
  if (theirs !== expected) {
    turn.count("wrong-peer-spi");
    return;
  }
  if (peek.response ? !awaits(turn, sa, peek) : !accepts(turn, sa, peek)) return;
  inWindow(turn, sa, from, peek);
}

function inInit(turn: Turn, sa: IkeSa, from: Datagram, peek: HeaderPeek): void {
  if (!sa.initiator || !peek.response || peek.exchange !== EXCHANGE.IKE_SA_INIT || peek.messageId !== 0) {
    turn.count("illegal-transition");
    return;
  }
  const draft = turn.edit(sa.serial);
  if (draft) initAnswered(turn, draft, from.datagram);
}

function awaits(turn: Turn, sa: IkeSa, peek: HeaderPeek): boolean {
  const asking = sa.asking;
  if (asking?.mid === peek.messageId && asking.datagrams.length > 0 && !asking.answered) return true;
  turn.count("stale-response");
  return false;
}

/** Message-ID window of size 1 (RFC 7296 §2.3): the next request, or the last one again. */
function accepts(turn: Turn, sa: IkeSa, peek: HeaderPeek): boolean {
  if (peek.messageId === sa.nextTheirs) {
    if (!sa.serving) return true;
    turn.count("request-in-progress");
    return false;
  }
  if (peek.messageId === sa.nextTheirs - 1 && sa.response.length > 0 && peek.exchange !== EXCHANGE.IKE_SA_INIT)
    return true;
  turn.count(peek.messageId < sa.nextTheirs ? "request-replayed" : "request-outside-window");
  return false;
}

function inWindow(turn: Turn, sa: IkeSa, from: Datagram, peek: HeaderPeek): void {
  const message = decodeMessage(from.datagram);
  if (!message.encrypted || !sa.protector) {
    turn.count("unprotected");
    return;
  }
  const plaintext = sa.protector.open(message);
  const draft = turn.edit(sa.serial);
  if (!draft) return;
  const again = !peek.response && peek.messageId === sa.nextTheirs - 1;
  if (again) {
    if (message.encrypted.fragment && message.encrypted.fragment.number !== 1) return;
    turn.count("retransmission-answered");
    turn.send(draft, sa.response, from.remote, from.local);
    return;
  }
  const whole = assemble(draft, peek, message, plaintext);
  draft.lastSeenAt = turn.now;
  if (!whole) return;
  locate(turn, draft, from);
  dispatch(turn, draft, message, whole, from);
}

interface Whole {
  readonly firstPayload: number;
  readonly plaintext: Uint8Array;
}

/** RFC 7383 §2.6: one message at a time is put together, and only from authenticated fragments. */
function assemble(sa: IkeSa, peek: HeaderPeek, message: Message, plaintext: Uint8Array): Whole | undefined {
  const { encrypted } = message;
  if (!encrypted?.fragment) return { firstPayload: encrypted?.firstPayload ?? 0, plaintext };
  const { messageId: mid, response } = peek;
  const before = sa.partial?.mid === mid && sa.partial.response === response ? sa.partial.parts : undefined;
  const { reassembly, complete } = addFragment(
    before,
    { firstPayload: encrypted.firstPayload, fragment: encrypted.fragment },
    plaintext,
  );
  sa.partial = complete ? undefined : { mid, response, parts: reassembly };
  return complete;
}

/** Where the peer's valid messages come from is where it is, as long as no NAT is before this end (RFC 7296 §2.23). */
function locate(turn: Turn, sa: IkeSa, from: From): void {
  if (isOn(sa, from)) return;
  if (sa.phase === "auth") {
    sa.local = from.local;
    sa.remote = from.remote;
  } else if (sa.mobike) takePath(turn, sa, from);
  else if (sa.phase === "established" && !sa.nat.local && encapsulates(sa)) movePeer(turn, sa, from.remote);
}

function dispatch(turn: Turn, sa: IkeSa, message: Message, whole: Whole, { local, remote }: Datagram): void {
  const { header } = message;
  if (header.response) {
    answered(turn, sa, message, whole);
    return;
  }
  const row = EXCHANGES[header.exchange];
  if (!row?.phases.includes(sa.phase) || (row.role === "responder" && sa.initiator)) {
    turn.count("illegal-transition");
    return;
  }
  const from = { local, remote };
  sa.serving = { mid: header.messageId, exchange: header.exchange, from };
  try {
    row.serve(turn, sa, read(message, whole));
  } catch (error) {
    if (!isFault(error)) throw error;
    refuseRequest(turn, sa.serial, { header, from }, error);
  }
}

function read(message: Message, whole: Whole): Payload[] {
  const inner = decodeInner(whole.firstPayload, whole.plaintext);
  // Message 0 is IKE_SA_INIT and 1 the first of IKE_AUTH.
  checkPlacement({ header: message.header, clear: message.payloads, inner }, message.header.messageId > 1);
  return inner;
}

/** Nothing of the step that failed counts: the refusal starts from the state before it (RFC 7296 §2.21.3). */
export function refuseRequest(
  turn: Turn,
  serial: number,
  at: { readonly header: { readonly messageId: number; readonly exchange: number }; readonly from: From },
  error: Parameters<typeof notifyOf>[0],
): void {
  turn.revert();
  turn.count(error.code);
  const sa = turn.edit(serial);
  if (!sa) return;
  sa.serving = { mid: at.header.messageId, exchange: at.header.exchange, from: at.from };
  const name = notifyOf(error);
  const data = name === "UNSUPPORTED_CRITICAL_PAYLOAD" ? new Uint8Array([Number(error.value) & 0xff]) : undefined;
  sa.lastSeenAt = turn.now;
  respond(turn, sa, [notification(name, data)]);
  if (isFatal(error) || sa.phase === "auth") closeSa(turn, sa, "failed", true);
}

function answered(turn: Turn, sa: IkeSa, message: Message, whole: Whole): void {
  const asking = sa.asking;
  if (!asking) {
    turn.count("stale-response");
    return;
  }
  let payloads: Payload[];
  try {
    payloads = read(message, whole);
  } catch (error) {
    if (!isFault(error)) throw error;
    turn.count(error.code);
    closeSa(turn, sa, "failed");
    return;
  }
  sa.asking = { ...asking, answered: true };
  ANSWERED[asking.task.kind](turn, sa, payloads);
}

/** A request to an IKE SA that is not (any more): its sender is told, a few times a second (RFC 7296 §2.21.4). */
function stranger(turn: Turn, from: Datagram, peek: HeaderPeek): void {
  turn.count("unknown-ike-spi");
  if (!peek.response)
    answerStranger(turn, from, asSender(clearResponse(peek, [notification("INVALID_IKE_SPI")]), peek));
}

/** The initiator flag says who made the IKE SA, not who speaks; the answer to a responder's request carries it. */
function asSender(datagram: Uint8Array, peek: HeaderPeek): Uint8Array {
  if (!peek.initiator) datagram[19] = (datagram[19] ?? 0) | FLAG.INITIATOR;
  return datagram;
}

function otherVersion(turn: Turn, from: Datagram, peek: HeaderPeek): void {
  turn.count("other-version");
  if (peek.majorVersion < 3 || peek.response) return;
  answerStranger(turn, from, clearResponse(peek, [notification("INVALID_MAJOR_VERSION")]));
}
