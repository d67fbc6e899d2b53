import type { Failure } from "../api.js";
import type { EapServerConfig, Identity } from "../config.js";
import { EAP_CODE } from "../wire/registry.js";
import type { EapPayload } from "../wire/types.js";
import { fault } from "./faults.js";
import { beginGtc, type GtcServer, serveGtc } from "./gtc.js";
import { beginMd5, type Md5Server, serveMd5 } from "./md5.js";
import { EAP_TYPE, type EapMethod, methodOf } from "./methods.js";
import { beginMschap, type MschapServer, serveMschap } from "./mschapv2.js";
import { type ServerOutcome, unexpected } from "./outcome.js";
import { attempt, MAX_ROUNDS, oversize, request, typed, typeOf, typesText, typeText, verdict } from "./packet.js";
import { beginTls, resumeServer, serveTls, type TlsEnd } from "./tls.js";
import type { ClaimedIdentity, EapContext, EapStep, EapTlsResult } from "./types.js";
import { claimedBy, claimedIn, type ServerTurn } from "./user.js";

type Method = Md5Server | GtcServer | MschapServer | TlsEnd;

/** A conversation at the server: data, replaced at every step. */
export interface EapServer {
  readonly config: EapServerConfig;
  readonly at: "identity" | "method" | "runner" | "over";
  readonly claimed: ClaimedIdentity;
  /** Of the last request. */
  readonly identifier: number;
  /** Requests so far. */
  readonly rounds: number;
  readonly method: Method | undefined;
  /** The method had no answer yet: the peer may still ask for another one (RFC 3748 §5.3.1). */
  readonly negotiable: boolean;
  /** Why the conversation will fail has been told (`EapStep.refused`). */
  readonly refused: boolean;
  /** Methods that the peer was not asked for yet, in order of preference. */
  readonly untried: readonly EapMethod[];
}

type Step = EapStep<EapServer>;

/** Begins with the first request; `ike` is who IDi says that the peer is. */
export function beginEapServer(config: EapServerConfig, ike: Identity, ctx: EapContext): Step {
  const state: EapServer = {
    config,
    at: "identity",
    claimed: claimedBy(ike),
    identifier: ctx.rng.bytes(1)[0] ?? 0,
    rounds: 0,
    method: undefined,
    negotiable: false,
    refused: false,
    untried: config.methods,
  };
  return guarded(state, () =>
    config.identity === "ask" ? ask(state, EAP_TYPE.IDENTITY, new Uint8Array()) : begin(state, config.methods[0], ctx),
  );
}

/** A packet of the peer. Anything but the answer that is due ends the conversation with EAP-Failure. */
export function serveEap(state: EapServer, packet: EapPayload, ctx: EapContext): Step {
  return guarded(state, () => {
    if (state.at === "over" || state.at === "runner") throw unexpected("a packet", "none");
    if (packet.code !== EAP_CODE.RESPONSE) throw unexpected(`a packet of code ${packet.code}`, "a response");
    if (packet.identifier !== state.identifier) {
      throw unexpected(`identifier ${packet.identifier}`, `that of the request, ${state.identifier}`);
    }
    const { type, body } = typed(packet);
    if (state.at === "identity") {
      if (type !== EAP_TYPE.IDENTITY) throw unexpected(typeText(type), "EAP-Identity");
      const claimed = claimedIn(body);
      return begin({ ...state, claimed }, state.config.methods[0], ctx);
    }
    if (type === EAP_TYPE.NAK && state.negotiable) return choose(state, body, ctx);
    const { method } = state;
    if (!method || type !== typeOf(method.method)) {
      throw unexpected(typeText(type), method ? typeText(typeOf(method.method)) : "none");
    }
    const answered = { ...state, negotiable: false };
    return follow(answered, method.method, receive(method, body, turnOf(answered, ctx)));
  });
}

/** What the runner answered to `wait`. */
export function resumeEapServer(state: EapServer, result: EapTlsResult | Failure): Step {
  return guarded(state, () => {
    if (state.at !== "runner" || state.method?.method !== "tls") throw unexpected("a result of TLS", "none");
    return follow(state, "tls", resumeServer(state.method, result, state.config));
  });
}

function receive(method: Method, data: Uint8Array, turn: ServerTurn): ServerOutcome<Method> {
  switch (method.method) {
    case "md5":
      return serveMd5(method, data, turn);
    case "gtc":
      return serveGtc(data, turn);
    case "mschapv2":
      return serveMschap(method, data, turn);
    case "tls":
      return serveTls(method, data, turn);
  }
}

function start(method: EapMethod, ctx: EapContext): ServerOutcome<Method> {
  switch (method) {
    case "md5":
      return beginMd5(ctx);
    case "gtc":
      return beginGtc();
    case "mschapv2":
      return beginMschap(ctx);
    case "tls":
      return beginTls(ctx);
  }
}

function begin(state: EapServer, method: EapMethod | undefined, ctx: EapContext): Step {
  if (!method) throw fault("ike/eap-no-method", "EAP: no method is configured", { field: "eap.methods" });
  const untried = state.untried.filter((m) => m !== method);
  return follow({ ...state, untried, negotiable: true }, method, start(method, ctx));
}

/** Legacy Nak, RFC 3748 §5.3.1: the first of ours that the peer names and was not asked for yet. */
function choose(state: EapServer, wanted: Uint8Array, ctx: EapContext): Step {
  const method = state.untried.find((m) => wanted.includes(typeOf(m)));
  if (method) return begin(state, method, ctx);
  throw fault("ike/eap-no-method", "EAP: the peer wants none of our methods", {
    field: "EAP.type",
    facts: {
      ours: typesText(state.config.methods.map(typeOf)),
      theirs: typesText([...wanted.subarray(0, 16)].filter((type) => type !== 0)),
    },
  });
}

function follow(state: EapServer, name: EapMethod, outcome: ServerOutcome<Method>): Step {
  switch (outcome.do) {
    case "ask": {
      const { refused } = outcome;
      const next: EapServer = { ...state, at: "method", method: outcome.state, refused: state.refused || !!refused };
      return { ...ask(next, typeOf(name), outcome.data), ...(refused && { refused }) };
    }
    case "run":
      return { state: { ...state, at: "runner", method: outcome.state }, wait: outcome.job };
    case "done":
      return {
        state: { ...state, at: "over", method: undefined },
        send: verdict("SUCCESS", state.identifier),
        done: { method: name, identity: state.claimed.text, msk: outcome.msk, ground: outcome.ground },
      };
  }
}

function ask(state: EapServer, type: number, data: Uint8Array): Step {
  if (state.rounds >= MAX_ROUNDS) throw oversize(`${state.rounds} requests`, `at most ${MAX_ROUNDS}`);
  const identifier = (state.identifier + 1) & 0xff;
  return {
    state: { ...state, identifier, rounds: state.rounds + 1, ...(methodOf(type) ? { at: "method" } : {}) },
    send: request(identifier, type, data),
  };
}

const turnOf = ({ config, claimed, identifier }: EapServer, ctx: EapContext): ServerTurn => ({
  config,
  ctx,
  claimed,
  identifier,
});

function guarded(state: EapServer, run: () => Step): Step {
  return attempt(run, (failed) => ({
    state: { ...state, at: "over" },
    send: verdict("FAILURE", state.identifier),
    failed,
  }));
}
