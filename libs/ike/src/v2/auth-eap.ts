import type { Fault } from "@sallyport/base";
import type { CryptoResults, Failure } from "../api.js";
import {
  answerEap,
  beginEapPeer,
  EAP_METHODS,
  type EapDone,
  type EapPeer,
  type EapStep,
  resumeEapPeer,
} from "../eap/index.js";
import { notification } from "../wire/index.js";
import type { AuthPayload, EapPayload, Payload } from "../wire/types.js";
import { nextExchange } from "./auth-exchange.js";
import { errorOf } from "./failures.js";
import { fault } from "./faults.js";
import { changeProving, handshakeOf } from "./handshake.js";
import { ask } from "./message.js";
import { settlePpk } from "./ppk.js";
import { badEapProof, eapProof, provesEap } from "./proof.js";
import type { Asking, IkeSa, Outcome } from "./sa.js";
import type { Turn } from "./turn.js";

/** What ends the attempt; undefined: it goes on. */
type Refusal = Fault | undefined;

function contextOf(turn: Turn) {
  return { rng: turn.core.rng, users: turn.core.config.eapUsers ?? new Map() };
}

/** Our round is EAP: the responder asks, and we answer in a request of our own (RFC 7296 §2.16). */
export function answerEapRequest(turn: Turn, sa: IkeSa, asking: Asking, packet: EapPayload | undefined): Refusal {
  const { proving } = handshakeOf(sa);
  const config = roundConfig(sa);
  const { eap } = proving;
  if (!packet || eap?.role !== "peer" || !config || eap.done) {
    const facts = { ours: eap?.done ? "AUTH" : "EAP", theirs: packet ? "EAP" : "none" };
    return fault("ike/authentication-failed", "the peer does not go on with EAP as it should", { facts });
  }
  const state = eap.state ?? beginEapPeer(config, { serverProven: proving.theirs > 0 });
  return take(turn, sa, asking, answerEap(state, packet, contextOf(turn)));
}

function roundConfig(sa: IkeSa) {
  const round = sa.peer?.localAuth[handshakeOf(sa).proving.ours];
  return round?.method === "eap" ? round.eap : undefined;
}

/** The runner has done its part of the method. */
export function resumeEap(turn: Turn, sa: IkeSa, asking: Asking, outcome: Outcome): Refusal {
  const { eap } = handshakeOf(sa).proving;
  if (eap?.role !== "peer" || !eap.state) return fault("ike/unexpected", "no EAP is under way");
  return take(turn, sa, asking, resumeEapPeer(eap.state, resultOf(outcome)));
}

export function resultOf(outcome: Outcome): CryptoResults["eap-tls"] | Failure {
  return outcome.ok ? (outcome.crypto as CryptoResults["eap-tls"]) : outcome.failure;
}

function take(turn: Turn, sa: IkeSa, asking: Asking, step: EapStep<EapPeer>): Refusal {
  const { state, send, wait, done, refused, failed } = step;
  changeProving(sa, { eap: { role: "peer", state, done } });
  if (failed) return failed;
  // The server may never answer to it.
  if (refused) sa.handshake = { ...handshakeOf(sa), refused: errorOf(turn, "IKE_AUTH", refused) };
  if (wait) turn.crypto(sa, asking, wait, { go: "auth-eap" });
  else if (done) sendKeyProof(turn, sa, asking, done);
  else if (send) ask(turn, sa, nextExchange(turn, sa, asking), [send]);
  return undefined;
}

function sendKeyProof(turn: Turn, sa: IkeSa, asking: Asking, done: EapDone): void {
  const { peer, localId } = sa;
  if (!peer || !localId) return;
  const ours = handshakeOf(sa).proving.ours + 1;
  changeProving(sa, { ours });
  const payloads: Payload[] = [...eapProof(sa, done, localId)];
  if (ours < peer.localAuth.length) payloads.push(notification("ANOTHER_AUTH_FOLLOWS"));
  ask(turn, sa, nextExchange(turn, sa, asking), payloads);
}

/**
 * The responder's AUTH by the key of EAP. Gives whether it was the responder's own round as well (RFC 5998), for which only
 * methods will do that nobody can try passwords against.
 */
export function judgeKeyProof(
  sa: IkeSa,
  auth: AuthPayload,
  payloads: readonly Payload[],
): { readonly refusal: Refusal; readonly alone: boolean } {
  const { proving } = handshakeOf(sa);
  const done = proving.eap?.done;
  const alone = sa.peer?.remoteAuth[proving.theirs]?.method === "eap";
  if (!done || !sa.remoteId) {
    const facts = { ours: "IDr with AUTH", theirs: "AUTH alone" };
    return {
      alone,
      refusal: fault("ike/authentication-failed", "AUTH without an identity or EAP before it", { facts }),
    };
  }
  const refusal = settlePpk(sa, payloads);
  if (refusal || !sa.keys) return { alone, refusal };
  if (!provesEap(sa, done, sa.remoteId, { keys: sa.keys, auth })) return { alone, refusal: badEapProof(done) };
  if (alone && !EAP_METHODS[done.method].safeAlone) {
    const facts = { ours: "a certificate, or EAP-TLS", theirs: done.method };
    return { alone, refusal: fault("ike/authentication-failed", "this EAP method does not prove a server", { facts }) };
  }
  changeProving(sa, { eap: undefined });
  return { alone, refusal: undefined };
}
