import { isFault } from "@sallyport/base";
import type { Input } from "../api.js";
import {
  addFragment,
  checkPlacement,
  decodeInner,
  decodeMessage,
  EXCHANGE,
  type HeaderPeek,
  NOTIFY,
  notification,
  PROTOCOL,
  peekHeader,
} from "../wire/index.js";
import type { Message, Payload } from "../wire/types.js";
import { ANSWERED, EXCHANGES } from "./exchanges.js";
import { isFatal, notifyOf } from "./faults.js";
import { cutSmaller, keepPartials } from "./fragments.js";
import { initAnswered } from "./init.js";
import { closeSa } from "./lifecycle.js";
import { errorIn, respond } from "./message.js";
import { isOn, movePeer } from "./moves.js";
import { encapsulates } from "./nat.js";
import { change } from "./queue.js";
import { heirSpeaks } from "./rekey-ike.js";
import { takePath } from "./roaming.js";
import type { Arrived, Asking, From, IkeSa, Responded } from "./sa.js";
import { serveInit } from "./serve-init.js";
import { otherVersion, outsideWindow, stranger, unprotected } from "./stray.js";
import { isHalfOpen } from "./table.js";
import type { Turn } from "./turn.js";
import { retire } from "./unique.js";

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
  if (peek.response ? !awaits(turn, sa, peek) : !accepts(turn, sa, from, peek)) return;
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
  if (askedAs(sa, peek.messageId)) return true;
  turn.count("stale-response");
  return false;
}

function askedAs(sa: IkeSa, mid: number): Asking | undefined {
  return sa.asking.find((a) => a.mid === mid && !a.answered);
}

function respondedTo(sa: IkeSa, mid: number): Responded | undefined {
  return sa.responses.find((r) => r.mid === mid);
}

/** The window of message IDs (RFC 7296 §2.3): the next requests, or one of the last ones again. */
function accepts(turn: Turn, sa: IkeSa, from: Datagram, peek: HeaderPeek): boolean {
  const { messageId: mid, exchange } = peek;
  if (mid < sa.nextTheirs) {
    if (exchange !== EXCHANGE.IKE_SA_INIT && respondedTo(sa, mid)) return true;
    turn.count("request-replayed");
    return false;
  }
  if (mid >= sa.nextTheirs + sa.window.receive) {
    outsideWindow(turn, sa, from, peek);
    return false;
  }
  if (sa.serving?.mid !== mid && !sa.early.some((e) => e.header.messageId === mid)) return true;
  turn.count("request-in-progress");
  return false;
}

function inWindow(turn: Turn, sa: IkeSa, from: Datagram, peek: HeaderPeek): void {
  const message = decodeMessage(from.datagram);
  if (!message.encrypted || !sa.protector) {
    unprotected(turn, message);
    return;
  }
  const plaintext = sa.protector.open(message);
  const draft = turn.edit(sa.serial);
  if (!draft) return;
  const before = peek.response ? undefined : respondedTo(sa, peek.messageId);
  if (before) {
    if (message.encrypted.fragment && message.encrypted.fragment.number !== 1) return;
    turn.count("retransmission-answered");
    turn.send(draft, repeated(turn, draft, before).datagrams, from.remote, from.local);
    return;
  }
  const whole = assemble(turn, draft, peek, message, plaintext);
  draft.lastSeenAt = turn.now;
  if (!whole) return;
  const { local, remote } = from;
  const arrived: Arrived = { header: message.header, clear: message.payloads, from: { local, remote }, ...whole };
  if (peek.response) {
    locate(turn, draft, from);
    answered(turn, draft, arrived);
    return;
  }
  // Of requests that overtook each other, the newest says where the peer is.
  if (draft.early.every((e) => e.header.messageId < peek.messageId)) locate(turn, draft, from);
  if (draft.serving || peek.messageId > draft.nextTheirs) draft.early = [...draft.early, arrived];
  else serve(turn, draft, arrived);
}

/** The answer once more; in smaller fragments when it seems not to arrive. */
function repeated(turn: Turn, sa: IkeSa, before: Responded): Responded {
  const repeats = (before.repeats ?? 0) + 1;
  const now = { ...before, ...cutSmaller(turn, sa, before, repeats), repeats };
  sa.responses = sa.responses.map((r) => (r === before ? now : r));
  return now;
}

/** RFC 7383 §2.6: only authenticated fragments of messages within the windows are kept. */
function assemble(
  turn: Turn,
  sa: IkeSa,
  peek: HeaderPeek,
  message: Message,
  plaintext: Uint8Array,
): Pick<Arrived, "firstPayload" | "plaintext"> | undefined {
  const { encrypted } = message;
  if (!encrypted?.fragment) return { firstPayload: encrypted?.firstPayload ?? 0, plaintext };
  const { messageId: mid, response } = peek;
  const before = sa.partials.find((p) => p.mid === mid && p.response === response);
  const { reassembly, complete } = addFragment(
    before?.parts,
    { firstPayload: encrypted.firstPayload, fragment: encrypted.fragment },
    plaintext,
  );
  const others = sa.partials.filter((p) => p !== before && (p.response ? askedAs(sa, p.mid) : p.mid >= sa.nextTheirs));
  const partials = complete ? others : [...others, { mid, response, parts: reassembly }];
  if (!keepPartials(turn, sa, partials, isHalfOpen(sa))) turn.count("partial-messages-limit");
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

function serve(turn: Turn, sa: IkeSa, arrived: Arrived): void {
  const { header, from } = arrived;
  const row = EXCHANGES[header.exchange];
  if (!row?.phases.includes(sa.phase) || (row.role === "responder" && sa.initiator)) {
    turn.count("illegal-transition");
    return;
  }
  sa.serving = { mid: header.messageId, exchange: header.exchange, from };
  try {
    const payloads = read(turn, sa, arrived);
    if (!payloads.some((p) => p.kind === "D" && p.protocol === PROTOCOL.IKE)) heirSpeaks(turn, sa);
    row.serve(turn, sa, payloads);
  } catch (error) {
    if (!isFault(error)) throw error;
    refuseRequest(turn, sa.serial, arrived, error);
  }
}

function nextEarly(sa: IkeSa): Arrived | undefined {
  return sa.serving ? undefined : sa.early.find((e) => e.header.messageId === sa.nextTheirs);
}

/** Serves the request whose turn has come meanwhile; false when there is none. */
export function serveEarly(turn: Turn, serial: number): boolean {
  const now = turn.look(serial);
  const sa = now && nextEarly(now) && turn.edit(serial);
  const arrived = sa && nextEarly(sa);
  if (!arrived) return false;
  sa.early = sa.early.filter((e) => e !== arrived);
  serve(turn, sa, arrived);
  return true;
}

/** What came early can not be served: the peer sends it again. */
export function forgetEarly(turn: Turn, serial: number): void {
  const sa = turn.edit(serial);
  if (sa) sa.early = [];
}

function read(turn: Turn, sa: IkeSa, arrived: Arrived): Payload[] {
  const inner = decodeInner(arrived.firstPayload, arrived.plaintext);
  turn.trace(sa, "in", arrived.header, inner);
  // Message 0 is IKE_SA_INIT and 1 the first of IKE_AUTH.
  checkPlacement({ header: arrived.header, clear: arrived.clear, inner }, arrived.header.messageId > 1);
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
  sa.early = sa.early.filter((e) => e.header.messageId !== at.header.messageId);
  sa.serving = { mid: at.header.messageId, exchange: at.header.exchange, from: at.from };
  const name = notifyOf(error);
  const data = name === "UNSUPPORTED_CRITICAL_PAYLOAD" ? new Uint8Array([Number(error.value) & 0xff]) : undefined;
  sa.lastSeenAt = turn.now;
  respond(turn, sa, [notification(name, data)]);
  if (isFatal(error) || sa.phase === "auth") closeSa(turn, sa, "failed", true);
}

function answered(turn: Turn, sa: IkeSa, arrived: Arrived): void {
  const asking = askedAs(sa, arrived.header.messageId);
  if (!asking) {
    turn.count("stale-response");
    return;
  }
  let payloads: Payload[];
  try {
    payloads = read(turn, sa, arrived);
  } catch (error) {
    if (!isFault(error)) throw error;
    turn.count(error.code);
    closeSa(turn, sa, "failed");
    return;
  }
  change(sa, asking, { answered: true });
  ANSWERED[asking.task.kind](turn, sa, asking, payloads);
  // Whoever answers so has given up the IKE SA, or soon will (RFC 7296 §2.21.3).
  if (errorIn(payloads)?.type === NOTIFY.INVALID_SYNTAX && sa.phase === "established") retire(turn, sa, "failed");
}
