import type { EapServerConfig, PeerConfig } from "../config.js";
import {
  beginEapServer,
  EAP_METHODS,
  type EapDone,
  type EapServer,
  type EapStep,
  resumeEapServer,
  serveEap,
} from "../eap/index.js";
import type { EapPayload, Identification, Payload } from "../wire/types.js";
import { resultOf } from "./auth-eap.js";
import { sameValue } from "./equal.js";
import { takesUser } from "./evidence.js";
import { fault } from "./faults.js";
import { changeProving, handshakeOf } from "./handshake.js";
import { identityAllowed, toIdentity } from "./identity.js";
import { notifyIn, respond } from "./message.js";
import type { IkeSa, Outcome } from "./sa.js";
import { endRefused, refuse, reportRefusal } from "./serve-refuse.js";
import type { Turn } from "./turn.js";

function contextOf(turn: Turn) {
  return { rng: turn.core.rng, users: turn.core.config.eapUsers ?? new Map() };
}

/** The EAP that a peer's next round is, when it is one. */
export function eapOf(sa: IkeSa, peer: PeerConfig): EapServerConfig | undefined {
  const round = peer.remoteAuth[handshakeOf(sa).proving.theirs];
  return round?.method === "eap" ? round.eap : undefined;
}

/** The initiator has left out AUTH (RFC 7296 §2.16): our first EAP request, which goes out beside our own proof. */
export function openEap(turn: Turn, sa: IkeSa, config: EapServerConfig, id: Identification): EapPayload | undefined {
  const { peer } = sa;
  const identity = toIdentity(id);
  if (!peer || !identity) {
    refuse(turn, sa, peer, id, fault("ike/identity-mismatch", "the identity is of no use with EAP"));
    return undefined;
  }
  if (peer.localAuth[handshakeOf(sa).proving.ours]?.method === "eap" && !mayStandAlone(turn, sa, peer, config, id)) {
    return undefined;
  }
  const { state, send, failed } = beginEapServer(config, identity, contextOf(turn));
  if (!send || failed) {
    refuse(turn, sa, peer, id, failed ?? fault("ike/unexpected", "EAP began with nothing to send"));
    return undefined;
  }
  changeProving(sa, { eap: { role: "server", state, done: undefined } });
  return send;
}

/** RFC 5998 §3, §4: the initiator has said that it is content, and no method will do that passwords can be tried against. */
function mayStandAlone(turn: Turn, sa: IkeSa, peer: PeerConfig, config: EapServerConfig, id: Identification): boolean {
  const unsafe = config.methods.filter((m) => !EAP_METHODS[m].safeAlone);
  if (unsafe.length > 0) {
    const facts = { ours: unsafe.join(", "), theirs: "EAP alone" };
    refuse(turn, sa, peer, id, fault("ike/not-configured", "these EAP methods do not prove a server", { facts }));
    return false;
  }
  if (notifyIn(handshakeOf(sa).proving.first, "EAP_ONLY_AUTHENTICATION")) return true;
  const facts = { ours: "EAP alone (RFC 5998)", theirs: "a responder that proves itself first" };
  refuse(turn, sa, peer, id, fault("ike/authentication-failed", "the peer does not take EAP alone", { facts }));
  return false;
}

/** The initiator's answer. */
export function takeEap(turn: Turn, sa: IkeSa, state: EapServer, packet: EapPayload): void {
  follow(turn, sa, serveEap(state, packet, contextOf(turn)));
}

/** The runner has done its part of the method. */
export function serveAuthEap(turn: Turn, sa: IkeSa, outcome: Outcome): void {
  const { eap } = handshakeOf(sa).proving;
  if (eap?.role !== "server") throw fault("ike/unexpected", "no EAP is under way");
  follow(turn, sa, resumeEapServer(eap.state, resultOf(outcome)));
}

function follow(turn: Turn, sa: IkeSa, { state, send, wait, done, refused, failed }: EapStep<EapServer>): void {
  changeProving(sa, { eap: { role: "server", state, done } });
  if (refused) reportRefusal(turn, sa, sa.peer, sa.remoteId, refused);
  if (failed && state.refused) endRefused(turn, sa, send);
  else if (failed) refuse(turn, sa, sa.peer, sa.remoteId, failed, send);
  else if (wait) turn.serveCrypto(sa, wait, { go: "serve-eap" });
  else if (!done || admit(turn, sa, done)) respond(turn, sa, send ? [send as Payload] : []);
}

/** EAP may tell apart those that IDi did not: which configuration is this user's (IDENT-14)? */
function admit(turn: Turn, sa: IkeSa, done: EapDone): boolean {
  const { peer, remoteId: id } = sa;
  const { candidates, proving } = handshakeOf(sa);
  if (!peer || !id) return false;
  const alike = candidates.filter((p) => isProvenAlike(sa, p, peer, id));
  const found = [peer, ...alike].find((p) => takesUser({ user: userOf(p, proving.theirs) }, done.identity));
  const another = proving.proven.find((name) => name !== done.identity);
  if (another !== undefined && eapRound(found, proving.theirs)?.samePerson) {
    const facts = { ours: another, theirs: done.identity };
    refuse(turn, sa, peer, id, fault("ike/identity-mismatch", "EAP and the round before prove two people", { facts }));
    return false;
  }
  sa.user = done.identity;
  if (found) {
    sa.peer = found;
    return true;
  }
  const facts = { ours: alike.map((p) => userOf(p, proving.theirs)).join(", "), theirs: done.identity };
  refuse(turn, sa, peer, id, fault("ike/identity-mismatch", "no configuration is for this user of EAP", { facts }));
  return false;
}

/** Whether all that has been proved so far would have been proved to the other configuration as well. */
function isProvenAlike(sa: IkeSa, other: PeerConfig, peer: PeerConfig, id: Identification): boolean {
  const { theirs } = handshakeOf(sa).proving;
  const round = other.remoteAuth[theirs];
  return (
    round?.method === "eap" &&
    sameValue(round.eap, eapOf(sa, peer)) &&
    identityAllowed(round.identity, round.method, other.remote.endpoint, id) &&
    sameValue(other.remoteAuth.slice(0, theirs), peer.remoteAuth.slice(0, theirs)) &&
    sameValue(other.localAuth, peer.localAuth)
  );
}

function eapRound(peer: PeerConfig | undefined, at: number) {
  const round = peer?.remoteAuth[at];
  return round?.method === "eap" ? round : undefined;
}

function userOf(peer: PeerConfig, at: number): string {
  return eapRound(peer, at)?.user ?? "*";
}
