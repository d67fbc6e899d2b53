import type { Endpoint } from "@sallyport/base";
import type { Millis } from "../api.js";
import { encodeMessage } from "../wire/message.js";
import { NOTIFY_DATA } from "../wire/notify-data.js";
import { EXCHANGE, FIRST_STATUS_NOTIFY, NOTIFY, type NotifyName, nameOf, PROTOCOL } from "../wire/registry.js";
import type { Header, NotifyPayload, Payload, PayloadKind, PayloadOf } from "../wire/types.js";
import { fault } from "./faults.js";
import { seal } from "./fragments.js";
import { change } from "./queue.js";
import type { Asking, IkeSa } from "./sa.js";
import type { Task } from "./task.js";
import type { Turn } from "./turn.js";

export function find<K extends PayloadKind>(payloads: readonly Payload[], kind: K): PayloadOf<K> | undefined {
  return payloads.find((p): p is PayloadOf<K> => p.kind === kind);
}

export function all<K extends PayloadKind>(payloads: readonly Payload[], kind: K): PayloadOf<K>[] {
  return payloads.filter((p): p is PayloadOf<K> => p.kind === kind);
}

/** The placement table has made sure of it. */
export function must<K extends PayloadKind>(payloads: readonly Payload[], kind: K): PayloadOf<K> {
  const found = find(payloads, kind);
  if (!found) throw fault("ike/unexpected", `no ${kind} payload`, { field: kind, value: "none", expected: kind });
  return found;
}

export function notifyIn(payloads: readonly Payload[], name: NotifyName): NotifyPayload | undefined {
  const type = NOTIFY[name];
  return payloads.find((p): p is NotifyPayload => p.kind === "N" && p.type === type);
}

/** The first error notification. */
export function errorIn(payloads: readonly Payload[]): NotifyPayload | undefined {
  return payloads.find((p): p is NotifyPayload => p.kind === "N" && p.type < FIRST_STATUS_NOTIFY);
}

export function spiBytes(spi: number): Uint8Array {
  const out = new Uint8Array(4);
  new DataView(out.buffer).setUint32(0, spi);
  return out;
}

export function spiNumber(bytes: Uint8Array): number {
  return bytes.length === 4 ? new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0) : 0;
}

export function spi64Bytes(spi: bigint): Uint8Array {
  const out = new Uint8Array(8);
  new DataView(out.buffer).setBigUint64(0, spi);
  return out;
}

export function spi64(bytes: Uint8Array): bigint {
  return bytes.length === 8 ? new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0) : 0n;
}

/** About a CHILD SA by the SPI that its sender expects to receive on. */
export function childNotify(name: "REKEY_SA" | "CHILD_SA_NOT_FOUND", spi: number): NotifyPayload {
  return NOTIFY_DATA[name].build({ protocol: PROTOCOL.ESP, spi });
}

function header(sa: IkeSa, exchange: number, response: boolean, messageId: number): Header {
  return {
    initiatorSpi: sa.spiI,
    responderSpi: sa.spiR,
    exchange,
    initiator: sa.initiator,
    response,
    messageId,
  };
}

const EXCHANGE_OF: Readonly<Record<Task["kind"], number>> = {
  init: EXCHANGE.IKE_SA_INIT,
  auth: EXCHANGE.IKE_AUTH,
  "create-child": EXCHANGE.CREATE_CHILD_SA,
  "rekey-child": EXCHANGE.CREATE_CHILD_SA,
  "rekey-ike": EXCHANGE.CREATE_CHILD_SA,
  "delete-child": EXCHANGE.INFORMATIONAL,
  "reject-child": EXCHANGE.INFORMATIONAL,
  "delete-ike": EXCHANGE.INFORMATIONAL,
  report: EXCHANGE.INFORMATIONAL,
  lifetime: EXCHANGE.INFORMATIONAL,
  "wrong-mid": EXCHANGE.INFORMATIONAL,
  window: EXCHANGE.INFORMATIONAL,
  probe: EXCHANGE.INFORMATIONAL,
  "update-addresses": EXCHANGE.INFORMATIONAL,
  "tell-addresses": EXCHANGE.INFORMATIONAL,
  "check-route": EXCHANGE.INFORMATIONAL,
};

export function exchangeName(task: Task): string {
  return nameOf(EXCHANGE, EXCHANGE_OF[task.kind]);
}

/** Sends the request of an exchange and starts its retransmissions (RFC 7296 §2.1). Gives what was sent. */
export function ask(
  turn: Turn,
  sa: IkeSa,
  asking: Asking,
  payloads: readonly Payload[],
  more: Partial<Asking> = {},
): readonly Uint8Array[] {
  const first = sa.phase === "init";
  const mid = first ? 0 : sa.nextOurs++;
  const head = header(sa, EXCHANGE_OF[asking.task.kind], false, mid);
  if (first) turn.trace(sa, "out", head, payloads);
  const sealed = first ? { datagrams: [encodeMessage(head, payloads)] } : seal(turn, sa, head, payloads);
  const resendAt = turn.now + resendAfter(sa, 0);
  change(sa, asking, { ...more, ...sealed, mid, tries: 0, resendAt, answered: false });
  turn.send(sa, sealed.datagrams);
  return sealed.datagrams;
}

const UNKNOWN_PEER = { initial: 500, backoff: 1.8, max: 20_000, tries: 5 };

export function resendAfter(sa: IkeSa, tries: number): Millis {
  const r = sa.peer?.retransmission ?? UNKNOWN_PEER;
  return Math.min(r.initial * r.backoff ** tries, r.max);
}

export function maxTries(sa: IkeSa): number {
  return (sa.peer?.retransmission ?? UNKNOWN_PEER).tries;
}

/** Answers the request that is being served and keeps the answer for retransmissions of it. */
export function respond(turn: Turn, sa: IkeSa, payloads: readonly Payload[]): void {
  const serving = sa.serving;
  if (!serving) throw fault("ike/unexpected", "no request to answer");
  const { mid } = serving;
  const sealed = seal(turn, sa, header(sa, serving.exchange, true, mid), payloads);
  sa.responses = [...sa.responses.filter((r) => r.mid > mid - sa.window.receive), { ...sealed, mid }];
  sa.nextTheirs = mid + 1;
  sa.serving = undefined;
  turn.send(sa, sealed.datagrams, serving.from.remote, serving.from.local);
}

/** An answer in the clear: IKE_SA_INIT and errors without an IKE SA. */
export function clearResponse(
  to: Pick<Header, "initiatorSpi" | "responderSpi" | "exchange" | "messageId">,
  payloads: readonly Payload[],
): Uint8Array {
  return encodeMessage(
    {
      initiatorSpi: to.initiatorSpi,
      responderSpi: to.responderSpi,
      exchange: to.exchange,
      initiator: false,
      response: true,
      messageId: to.messageId,
    },
    payloads,
  );
}

/** Answers someone without an IKE SA: seldom enough, and never with more octets than he sent (hostile input 22). */
export function answerStranger(
  turn: Turn,
  from: { readonly local: Endpoint; readonly remote: Endpoint; readonly datagram: Uint8Array },
  datagram: Uint8Array,
): void {
  if (datagram.length > from.datagram.length || !turn.core.mayAnswerStranger(turn.now)) {
    turn.count("stranger-unanswered");
    return;
  }
  turn.effects.push({ do: "send", local: from.local, remote: from.remote, datagram });
}
