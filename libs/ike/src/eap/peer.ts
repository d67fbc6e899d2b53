import type { Failure } from "../api.js";
import type { EapPeerConfig } from "../config.js";
import { EAP_CODE } from "../wire/registry.js";
import type { EapPayload } from "../wire/types.js";
import { fault } from "./faults.js";
import { answerGtc, type GtcPeer } from "./gtc.js";
import { answerMd5, type Md5Peer } from "./md5.js";
import { EAP_METHODS, EAP_TYPE, type EapMethod, methodOf } from "./methods.js";
import { answerMschap, type MschapPeer } from "./mschapv2.js";
import { type PeerOutcome, type PeerTurn, unexpected } from "./outcome.js";
import { attempt, MAX_ROUNDS, oversize, response, typed, typeOf, typesText, typeText } from "./packet.js";
import { answerTls, resumePeer, type TlsEnd } from "./tls.js";
import type { EapContext, EapDone, EapStep, EapTlsResult } from "./types.js";

type Method = Md5Peer | GtcPeer | MschapPeer | TlsEnd;

/** A conversation at the peer: data, replaced at every step. */
export interface EapPeer {
  readonly config: EapPeerConfig;
  /** Methods that it answers to, in order of preference. */
  readonly methods: readonly EapMethod[];
  readonly at: "idle" | "method" | "runner" | "over";
  /** Of the last request. */
  readonly identifier: number;
  /** Requests so far. */
  readonly rounds: number;
  readonly method: Method | undefined;
  /** There once all is proven: what EAP-Success then means. */
  readonly proven: EapDone | undefined;
}

type Step = EapStep<EapPeer>;

/**
 * Before the server's first request. A server that has not proven itself by a certificate or a key (RFC 5998) gets answers to
 * methods that may stand alone and to no other: no password goes to a stranger (hostile input 19). Nor is a method used for
 * which there is no password or certificate (hostile input 28).
 */
export function beginEapPeer(config: EapPeerConfig, { serverProven }: { readonly serverProven: boolean }): EapPeer {
  const usable = (m: EapMethod) =>
    (serverProven || EAP_METHODS[m].safeAlone) && (m === "tls" ? config.tls !== undefined : !!config.password?.length);
  return {
    config,
    methods: config.methods.filter(usable),
    at: "idle",
    identifier: 0,
    rounds: 0,
    method: undefined,
    proven: undefined,
  };
}

/** A packet of the server. */
export function answerEap(state: EapPeer, packet: EapPayload, ctx: EapContext): Step {
  return guarded(state, () => {
    if (state.at === "over" || state.at === "runner") throw unexpected("a packet", "none");
    switch (packet.code) {
      case EAP_CODE.REQUEST:
        return answerRequest(state, packet, ctx);
      case EAP_CODE.SUCCESS:
        // Its identifier is not looked at: servers differ, and within the IKE SA nobody can slip one in.
        if (!state.proven) {
          throw unexpected(
            "EAP-Success",
            state.method ? `the end of ${typeText(typeOf(state.method.method))}` : "a method",
          );
        }
        return { state: { ...state, at: "over", method: undefined }, done: state.proven };
      case EAP_CODE.FAILURE:
        if (state.method?.method === "tls" && state.method.refused) throw state.method.refused;
        throw fault("ike/eap-refused", "the peer answered EAP-Failure", {
          field: "EAP",
          facts: { ours: ourText(state), theirs: "EAP-Failure" },
        });
      default:
        throw unexpected(`a packet of code ${packet.code}`, "a request, success or failure");
    }
  });
}

/** What the runner answered to `wait`. */
export function resumeEapPeer(state: EapPeer, result: EapTlsResult | Failure): Step {
  return guarded(state, () => {
    if (state.at !== "runner" || state.method?.method !== "tls") throw unexpected("a result of TLS", "none");
    return follow(state, "tls", resumePeer(state.method, result, state.config));
  });
}

function ourText({ config, method, methods }: EapPeer): string {
  const how = method ? typeText(typeOf(method.method)) : typesText(methods.map(typeOf));
  return `${config.identity} by ${how}`;
}

function answerRequest(before: EapPeer, packet: EapPayload, ctx: EapContext): Step {
  if (before.rounds >= MAX_ROUNDS) throw oversize(`${before.rounds} requests`, `at most ${MAX_ROUNDS}`);
  const state = { ...before, identifier: packet.identifier, rounds: before.rounds + 1 };
  const { type, body } = typed(packet);
  const { method } = state;
  switch (type) {
    case EAP_TYPE.IDENTITY:
      if (method) throw unexpected("EAP-Identity", typeText(typeOf(method.method)));
      return reply(state, EAP_TYPE.IDENTITY, new TextEncoder().encode(state.config.identity));
    case EAP_TYPE.NOTIFICATION:
      return reply(state, EAP_TYPE.NOTIFICATION, new Uint8Array());
    case EAP_TYPE.NAK:
      throw unexpected("a request for EAP-Nak", "a method");
    default: {
      const name = methodOf(type);
      // RFC 3748 §2.1: one method in a conversation.
      if (method && name !== method.method) throw unexpected(typeText(type), typeText(typeOf(method.method)));
      if (!name || !state.methods.includes(name)) return nak(state, type);
      return follow(
        state,
        name,
        receive(name, method, body, { config: state.config, ctx, identifier: packet.identifier }),
      );
    }
  }
}

function receive(name: EapMethod, before: Method | undefined, data: Uint8Array, turn: PeerTurn): PeerOutcome<Method> {
  switch (name) {
    case "md5":
      return answerMd5(before?.method === name ? before : undefined, data, turn);
    case "gtc":
      return answerGtc(before?.method === name ? before : undefined, turn);
    case "mschapv2":
      return answerMschap(before?.method === name ? before : undefined, data, turn);
    case "tls":
      return answerTls(before?.method === name ? before : undefined, data, turn);
  }
}

/** Legacy Nak, RFC 3748 §5.3.1: to an expanded type too, since we know none of those. With no method left, this ends it. */
function nak(state: EapPeer, type: number): Step {
  if (state.methods.length === 0) {
    throw fault("ike/eap-no-method", `EAP: no method for a server that ${SERVER_NOT_PROVEN}`, {
      field: "EAP.type",
      facts: { ours: typesText(state.config.methods.map(typeOf)), theirs: typeText(type) },
    });
  }
  return reply(state, EAP_TYPE.NAK, Uint8Array.from(state.methods, typeOf));
}

const SERVER_NOT_PROVEN = "has not proven itself, or neither password nor certificate of ours";

function follow(state: EapPeer, name: EapMethod, outcome: PeerOutcome<Method>): Step {
  if (outcome.do === "run") return { state: { ...state, at: "runner", method: outcome.state }, wait: outcome.job };
  const { proven, refused } = outcome;
  const done = proven && { method: name, identity: state.config.identity, ...proven };
  const next: EapPeer = { ...state, at: "method", method: outcome.state, proven: done ?? state.proven };
  return { ...reply(next, typeOf(name), outcome.data), ...(refused && { refused }) };
}

function reply(state: EapPeer, type: number, data: Uint8Array): Step {
  return { state, send: response(state.identifier, type, data) };
}

function guarded(state: EapPeer, run: () => Step): Step {
  return attempt(run, (failed) => ({ state: { ...state, at: "over", proven: undefined }, failed }));
}
