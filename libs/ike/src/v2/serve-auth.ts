import { type Fault, isFault } from "@sallyport/base";
import type { CryptoResults, Failure } from "../api.js";
import type { PeerConfig, RemoteAuth } from "../config.js";
import { notification } from "../wire/index.js";
import { AUTH_METHOD } from "../wire/registry.js";
import type { AuthPayload, Identification, Payload } from "../wire/types.js";
import { beginAnswer, judge, refusal } from "./child-answer.js";
import { errorOf, refusedStranger } from "./failures.js";
import { fault } from "./faults.js";
import { handshakeOf, requestedAuthorities } from "./handshake.js";
import { identificationText, identityAllowed, localIdentification, sameIdentification } from "./identity.js";
import { childFailed, establish } from "./lifecycle.js";
import { find, must, notifyIn, respond } from "./message.js";
import {
  badProof,
  mismatch,
  prove,
  provesSecret,
  requireMultiple,
  roundsText,
  signedProof,
  verifyJob,
  wrongRounds,
} from "./proof.js";
import type { AuthServing, IkeSa, Outcome, Proving, ServingThen } from "./sa.js";
import { serveAddresses } from "./serve-config.js";
import type { Turn } from "./turn.js";
import { isRefusedAsSecond } from "./unique.js";
import { answerWindow } from "./window.js";

/** How long a refused IKE SA repeats its answer. */
const REFUSED_MS = 10_000;
/** Configurations whose trust anchors one chain is held against. */
const MAX_TRIED = 8;

function changeProving(sa: IkeSa, change: Partial<Proving>): void {
  const h = handshakeOf(sa);
  sa.handshake = { ...h, proving: { ...h.proving, ...change } };
}

/** A request of IKE_AUTH: the first, or one with which another round begins (RFC 4739 §2). */
export function serveAuth(turn: Turn, sa: IkeSa, payloads: readonly Payload[]): void {
  const { proving } = handshakeOf(sa);
  if (proving.first.length === 0) firstRound(turn, sa, payloads);
  else laterRound(turn, sa, payloads);
}

/** Which peer it is, is decided by its identity, the one it asks for, and the kind and number of its proofs. */
function firstRound(turn: Turn, sa: IkeSa, payloads: readonly Payload[]): void {
  const idi = must(payloads, "IDi");
  const id = { idType: idi.idType, data: idi.data };
  changeProving(sa, {
    multiple: notifyIn(payloads, "MULTIPLE_AUTH_SUPPORTED") !== undefined,
    authorities: requestedAuthorities(payloads),
    first: payloads,
  });
  const { candidates } = handshakeOf(sa);
  const known = candidates.filter((p) => isNamed(p, id));
  const [closest] = candidates;
  if (known.length === 0 && closest) {
    refuse(turn, sa, only(candidates), id, mismatch(closest, closest.remoteAuth[0], id));
    return;
  }
  const idr = find(payloads, "IDr");
  const asked = known.filter((p) => !idr || sameIdentification(idr, localIdentification(p.localAuth[0], sa.local)));
  const matching = asked.length > 0 ? asked : known;
  const several = notifyIn(payloads, "ANOTHER_AUTH_FOLLOWS") !== undefined;
  const fitting = matching.filter((p) => p.remoteAuth.length > 1 === several);
  verifyRound(turn, sa, fitting.length > 0 ? fitting : matching, id, payloads);
}

function laterRound(turn: Turn, sa: IkeSa, payloads: readonly Payload[]): void {
  const { proving } = handshakeOf(sa);
  const { peer } = sa;
  const idi = find(payloads, "IDi");
  const id = idi ? { idType: idi.idType, data: idi.data } : (sa.remoteId as Identification);
  if (!peer || !turn.core.peers.has(peer.id)) {
    refuse(turn, sa, undefined, id, fault("ike/not-configured", "the peer was removed meanwhile"));
  } else if (!proving.expected) {
    if (idi || find(payloads, "AUTH"))
      refuse(turn, sa, peer, id, wrongRounds(peer.remoteAuth.length, proving.theirs, true));
    else answerRound(turn, sa);
  } else if (!idi) {
    const facts = { ours: roundsText(peer.remoteAuth.length) };
    refuse(
      turn,
      sa,
      peer,
      id,
      fault("ike/authentication-failed", "the peer names nobody in its next round", { facts }),
    );
  } else verifyRound(turn, sa, [peer], id, payloads);
}

/** Holds the initiator's proof against those that it may be. */
function verifyRound(
  turn: Turn,
  sa: IkeSa,
  matching: readonly PeerConfig[],
  id: Identification,
  payloads: readonly Payload[],
): void {
  const auth = find(payloads, "AUTH");
  const [closest] = matching;
  const round = closest && roundOf(sa, closest);
  if (!closest || !round) return;
  if (!auth) {
    const facts = { ours: round.method, theirs: "eap" };
    refuse(turn, sa, only(matching), id, fault("ike/authentication-failed", "the peer wants EAP", { facts }));
    return;
  }
  if (!identityAllowed(round.identity, round.method, closest.remote.endpoint, id)) {
    refuse(turn, sa, closest, id, mismatch(closest, round, id));
    return;
  }
  if (auth.method === AUTH_METHOD.SHARED_KEY) {
    const peer = matching.find((p) => provesSecret(sa, roundOf(sa, p) ?? round, id, auth));
    if (peer) proven(turn, sa, { peer, others: [], id, payloads });
    else refuse(turn, sa, only(matching), id, badProof(round, auth));
    return;
  }
  const signers = matching.filter((p) => roundOf(sa, p)?.method === "certificate");
  if (!verifyNext(turn, sa, signers.slice(0, MAX_TRIED), id, payloads, auth)) {
    refuse(turn, sa, only(matching), id, badProof(round, auth));
  }
}

function verifyNext(
  turn: Turn,
  sa: IkeSa,
  signers: readonly PeerConfig[],
  id: Identification,
  payloads: readonly Payload[],
  auth: AuthPayload,
): boolean {
  const [peer, ...others] = signers;
  const round = peer && roundOf(sa, peer);
  const job = round && verifyJob(sa, round, id, auth, payloads);
  if (!peer || !job) return false;
  turn.serveCrypto(sa, job, { go: "serve-auth-verified", serving: { peer, others, id, payloads } });
  return true;
}

function roundOf(sa: IkeSa, peer: PeerConfig): RemoteAuth | undefined {
  return peer.remoteAuth[handshakeOf(sa).proving.theirs];
}

function isNamed({ remoteAuth: [round], remote }: PeerConfig, id: Identification): boolean {
  return identityAllowed(round.identity, round.method, remote.endpoint, id);
}

function only(peers: readonly PeerConfig[]): PeerConfig | undefined {
  return peers.length === 1 ? peers[0] : undefined;
}

export function serveAuthVerified(turn: Turn, sa: IkeSa, serving: AuthServing, outcome: Outcome): void {
  if (outcome.ok) {
    sa.subject ??= (outcome.crypto as CryptoResults["verify"]).subject;
    proven(turn, sa, serving);
    return;
  }
  const { id, payloads, others } = serving;
  if (!verifyNext(turn, sa, others, id, payloads, must(payloads, "AUTH"))) {
    refuse(turn, sa, serving.peer, id, outcome.failure);
  }
}

/** The initiator is who it says, as far as this round goes: now our own proof. */
function proven(turn: Turn, sa: IkeSa, { peer, id, payloads }: AuthServing): void {
  const state = turn.core.peers.get(peer.id);
  if (!state) {
    refuse(turn, sa, undefined, id, fault("ike/not-configured", "the peer was removed meanwhile"));
    return;
  }
  sa.peer = state.config;
  sa.remoteId = id;
  const expected = notifyIn(payloads, "ANOTHER_AUTH_FOLLOWS") !== undefined;
  const theirs = handshakeOf(sa).proving.theirs + 1;
  if (expected !== theirs < sa.peer.remoteAuth.length) {
    refuse(turn, sa, sa.peer, id, wrongRounds(sa.peer.remoteAuth.length, theirs, expected));
    return;
  }
  changeProving(sa, { theirs, expected });
  answerRound(turn, sa);
}

function answerRound(turn: Turn, sa: IkeSa): void {
  const { peer } = sa;
  const round = peer?.localAuth[handshakeOf(sa).proving.ours];
  if (!peer || !round) {
    complete(turn, sa, []);
    return;
  }
  try {
    requireMultiple(sa, peer);
    sa.localId = localIdentification(round, sa.local);
    const proof = prove(turn, sa, "serving", round, sa.localId);
    if (proof !== "signing") complete(turn, sa, proof);
  } catch (error) {
    if (!isFault(error)) throw error;
    refuse(turn, sa, peer, sa.remoteId, error);
  }
}

type Signed = Extract<ServingThen, { go: "serve-auth-signed" }>;

export function serveAuthSigned(turn: Turn, sa: IkeSa, then: Signed, outcome: Outcome): void {
  if (outcome.ok) complete(turn, sa, signedProof(then, outcome));
  else refuse(turn, sa, sa.peer, sa.remoteId, outcome.failure);
}

/** Our round is ready. It is the last response once neither end has any more to prove. */
function complete(turn: Turn, sa: IkeSa, proof: readonly Payload[]): void {
  const { peer, localId } = sa;
  const { proving } = handshakeOf(sa);
  if (!peer || !localId) return;
  const before: Payload[] = proof.length > 0 ? [{ kind: "IDr", ...localId }, ...proof] : [];
  const ours = proving.ours + Math.sign(proof.length);
  changeProving(sa, { ours });
  const another = ours < peer.localAuth.length;
  if (another || proving.expected) {
    respond(turn, sa, [...before, ...(another ? [notification("ANOTHER_AUTH_FOLLOWS")] : [])]);
    return;
  }
  if (isRefusedAsSecond(turn, sa)) {
    refuse(turn, sa, peer, sa.remoteId, fault("ike/authentication-failed", "this identity has an IKE SA already"));
    return;
  }
  authenticated(turn, sa, [...before, ...answerWindow(sa, proving.first)]);
}

/** Both ends have proved themselves: what the first request asked for is given. */
function authenticated(turn: Turn, sa: IkeSa, before: readonly Payload[]): void {
  const { ni, nr, proving } = handshakeOf(sa);
  const { first } = proving;
  establish(turn, sa, notifyIn(first, "INITIAL_CONTACT") !== undefined);
  try {
    const answer = [...before, ...serveAddresses(turn, sa, first)];
    if (!find(first, "SA")) respond(turn, sa, answer);
    else beginAnswer(turn, sa, judge(turn, sa, first, { ni, nr }, true, undefined), answer);
  } catch (error) {
    const notify = refusal(error);
    if (isFault(error)) childFailed(turn, sa, undefined, errorOf(turn, "IKE_AUTH", error));
    respond(turn, sa, [...before, notify]);
  }
}

/** AUTHENTICATION_FAILED and nothing else: the peer learns no reason, our side learns both values (RFC 7296 §2.21.2). */
function refuse(
  turn: Turn,
  sa: IkeSa,
  peer: PeerConfig | undefined,
  id: Identification | undefined,
  cause: Fault | Failure,
): void {
  turn.count("authentication-failed");
  const error = errorOf(turn, "IKE_AUTH", cause, { theirs: `${id ? identificationText(id) : "?"}${theirsOf(cause)}` });
  const named = peer !== undefined && id !== undefined && isNamed(peer, id);
  refusedStranger(turn, peer, { remote: sa.remote, named }, error);
  turn.emit({ event: "auth-failed", peer: peer?.id, remote: sa.remote, error, at: turn.now });
  respond(turn, sa, [notification("AUTHENTICATION_FAILED")]);
  sa.phase = "deleting";
  sa.handshake = undefined;
  sa.dropAt = turn.now + REFUSED_MS;
}

function theirsOf(cause: Fault | Failure): string {
  const theirs = isFault(cause) && cause.code !== "ike/identity-mismatch" ? cause.facts.theirs : undefined;
  return theirs ? ` by ${theirs}` : "";
}
