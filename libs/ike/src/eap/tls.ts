import { Buffer } from "node:buffer";
import type { Fault } from "@sallyport/base";
import type { Failure } from "../api.js";
import type { EapPeerConfig, EapServerConfig, EapTlsSettings } from "../config.js";
import { fault } from "./faults.js";
import { type PeerOutcome, type PeerTurn, type ServerOutcome, unexpected } from "./outcome.js";
import { add, fragment, type Incoming, isAck, NOTHING, readTls, TLS_ACK, TLS_START } from "./tls-fragments.js";
import type { EapContext, EapGround, EapTlsFinished, EapTlsJob, EapTlsResult } from "./types.js";
import type { ServerTurn } from "./user.js";

/** Either end of EAP-TLS (RFC 5216, RFC 9190). The TLS itself is the runner's; here its flights are cut into packets. */
export interface TlsEnd {
  readonly method: "tls";
  /** The runner's session. */
  readonly session: string;
  /** Whether the runner knows it. */
  readonly open: boolean;
  readonly incoming: Incoming;
  /** The flight that is being sent, and how much of it was. */
  readonly outgoing: Uint8Array;
  readonly sent: number;
  readonly finished: EapTlsFinished | undefined;
  /** Why it ends as soon as the other end has heard it (RFC 5216 §2.1.3). */
  readonly refused?: Fault | undefined;
}

const EMPTY = new Uint8Array();

function newEnd(ctx: EapContext): TlsEnd {
  const session = Buffer.from(ctx.rng.bytes(16)).toString("hex");
  return { method: "tls", session, open: false, incoming: NOTHING, outgoing: EMPTY, sent: 0, finished: undefined };
}

/** A flight came whole: the runner's turn. */
function run(s: TlsEnd, input: Uint8Array, open: EapTlsJob["open"]) {
  const job: EapTlsJob = { kind: "eap-tls", session: s.session, input, ...(s.open ? {} : { open }) };
  return { do: "run", state: { ...s, open: true, incoming: NOTHING }, job } as const;
}

/** The next fragment of what is going out. */
function send(s: TlsEnd): { readonly state: TlsEnd; readonly data: Uint8Array } {
  const { data, next } = fragment(s.outgoing, s.sent);
  return { state: { ...s, sent: next }, data };
}

const sending = (s: TlsEnd) => s.sent < s.outgoing.length;

function settings(tls: EapTlsSettings | undefined): EapTlsSettings {
  if (!tls) throw fault("ike/eap-tls", "EAP-TLS without a certificate", { field: "eap.tls" });
  return tls;
}

function refused(failure: Failure) {
  const { code, message, field, value } = failure;
  return fault("ike/eap-tls", `EAP-TLS: ${message}`, {
    ...(field !== undefined && { field }),
    ...(value !== undefined && { value }),
    facts: { theirs: code },
  });
}

export function beginTls(ctx: EapContext): ServerOutcome<TlsEnd> {
  return { do: "ask", state: newEnd(ctx), data: TLS_START };
}

export function serveTls(s: TlsEnd, data: Uint8Array, turn: ServerTurn): ServerOutcome<TlsEnd> {
  const packet = readTls(data);
  if (sending(s)) {
    if (!isAck(packet)) throw unexpected("an EAP-TLS fragment", "the acknowledgement of ours");
    return { do: "ask", ...send(s) };
  }
  // Whatever the answer to the alert is.
  if (s.refused) throw s.refused;
  if (s.finished) {
    if (!isAck(packet)) throw unexpected("more TLS", "the acknowledgement of the last flight");
    return done(s.finished, settings(turn.config.tls));
  }
  const { incoming, whole } = add(s.incoming, packet);
  if (!whole) return { do: "ask", state: { ...s, incoming }, data: TLS_ACK };
  const prove = turn.claimed.typed;
  return run(s, whole, { ...settings(turn.config.tls), role: "server", prove });
}

function groundOf({ certificate }: EapTlsFinished, { trust }: EapTlsSettings): EapGround {
  return { certificate, trust };
}

const done = (finished: EapTlsFinished, tls: EapTlsSettings) =>
  ({ do: "done", msk: finished.msk, ground: groundOf(finished, tls) }) as const;

export function resumeServer(
  s: TlsEnd,
  result: EapTlsResult | Failure,
  config: EapServerConfig,
): ServerOutcome<TlsEnd> {
  if ("code" in result) throw refused(result);
  const { output, finished } = result;
  if (result.refused) {
    const why = refused(result.refused);
    if (output.length === 0) throw why;
    return { do: "ask", ...send({ ...s, outgoing: output, sent: 0, refused: why }), refused: why };
  }
  if (output.length > 0) return { do: "ask", ...send({ ...s, outgoing: output, sent: 0, finished }) };
  if (!finished) throw unexpected("an incomplete flight of TLS", "a whole one");
  return done(finished, settings(config.tls));
}

export function answerTls(before: TlsEnd | undefined, data: Uint8Array, turn: PeerTurn): PeerOutcome<TlsEnd> {
  const packet = readTls(data);
  const { server, ...tls } = { server: undefined, ...settings(turn.config.tls) };
  const open = { ...tls, role: "peer", prove: server } as const;
  if (!before) {
    if (!packet.start) throw unexpected("an EAP-TLS packet", "its start");
    return run(newEnd(turn.ctx), EMPTY, open);
  }
  if (sending(before)) {
    if (!isAck(packet)) throw unexpected("an EAP-TLS fragment", "the acknowledgement of ours");
    return { do: "reply", ...send(before) };
  }
  if (before.refused) throw before.refused;
  if (before.finished) throw unexpected("more TLS", "success or failure");
  const { incoming, whole } = add(before.incoming, packet);
  if (!whole) return { do: "reply", state: { ...before, incoming }, data: TLS_ACK };
  return run(before, whole, open);
}

export function resumePeer(s: TlsEnd, result: EapTlsResult | Failure, config: EapPeerConfig): PeerOutcome<TlsEnd> {
  if ("code" in result) throw refused(result);
  const { output, finished } = result;
  if (result.refused) {
    const why = refused(result.refused);
    const next = { ...s, refused: why };
    if (output.length === 0) return { do: "reply", state: next, data: TLS_ACK, refused: why };
    return { do: "reply", ...send({ ...next, outgoing: output, sent: 0 }), refused: why };
  }
  const proven = finished ? { proven: { msk: finished.msk, ground: groundOf(finished, settings(config.tls)) } } : {};
  if (output.length === 0) return { do: "reply", state: { ...s, finished }, data: TLS_ACK, ...proven };
  return { do: "reply", ...send({ ...s, outgoing: output, sent: 0, finished }), ...proven };
}
