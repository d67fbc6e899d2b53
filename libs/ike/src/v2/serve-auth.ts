import type { CryptoResults } from "../api.js";
import type { PeerConfig } from "../config.js";
import { notification } from "../wire/index.js";
import { AUTH_METHOD } from "../wire/registry.js";
import type { AuthPayload, Identification, Payload } from "../wire/types.js";
import { badProof, certificates, mismatch, octetsOf, provesSecret, pskPayload, schemeFor, verifyJob } from "./auth.js";
import { beginAnswer, judge, refusal } from "./child-answer.js";
import { errorOf, refusedStranger } from "./failures.js";
import { fault, isFault } from "./faults.js";
import { handshakeOf } from "./handshake.js";
import { identificationText, identityAllowed, localIdentification, sameIdentification } from "./identity.js";
import { childFailed, establish } from "./lifecycle.js";
import { find, must, notifyIn, respond } from "./message.js";
import type { AuthServing, IkeSa, Outcome } from "./sa.js";
import type { Turn } from "./turn.js";
import { isRefusedAsSecond } from "./unique.js";

/** How long a refused IKE SA repeats its answer. */
const REFUSED_MS = 10_000;

/** An initiator's IKE_AUTH. Which peer it is, is decided by its identity, the one it asks for, and the kind of its proof. */
export function serveAuth(turn: Turn, sa: IkeSa, payloads: readonly Payload[]): void {
  const idi = must(payloads, "IDi");
  const auth = find(payloads, "AUTH");
  const id = { idType: idi.idType, data: idi.data };
  const idr = find(payloads, "IDr");
  const { candidates } = handshakeOf(sa);
  if (!auth) {
    refuse(
      turn,
      sa,
      undefined,
      id,
      fault("ike/authentication-failed", "the peer wants EAP", { facts: { theirs: "eap" } }),
    );
    return;
  }
  const known = candidates.filter((p) => isNamed(p, id));
  const [closest] = candidates;
  if (known.length === 0 && closest) {
    refuse(turn, sa, only(candidates), id, mismatch(closest, id));
    return;
  }
  const asked = known.filter((p) => !idr || sameIdentification(idr, localIdentification(p.localAuth, sa.local)));
  const matching = asked.length > 0 ? asked : known;
  if (auth.method === AUTH_METHOD.SHARED_KEY) {
    const peer = matching.find((p) => provesSecret(sa, p, id, auth));
    if (peer) {
      proven(turn, sa, { peer, id, payloads }, undefined);
      return;
    }
  } else {
    const peer = matching.find((p) => p.remoteAuth.method === "certificate");
    const job = peer && verifyJob(sa, peer, id, auth, payloads);
    if (job) {
      turn.crypto(sa, "serving", job, { go: "serve-auth-verified", serving: { peer, id, payloads } });
      return;
    }
  }
  const peer = matching[0] ?? closest;
  if (peer) refuse(turn, sa, only(matching), id, badProof(peer, auth));
}

function isNamed({ remoteAuth, remote }: PeerConfig, id: Identification): boolean {
  return identityAllowed(remoteAuth.identity, remoteAuth.method, remote.endpoint, id);
}

function only(peers: readonly PeerConfig[]): PeerConfig | undefined {
  return peers.length === 1 ? peers[0] : undefined;
}

export function serveAuthVerified(turn: Turn, sa: IkeSa, serving: AuthServing, outcome: Outcome): void {
  if (!outcome.ok) {
    refuse(turn, sa, serving.peer, serving.id, outcome.failure);
    return;
  }
  proven(turn, sa, serving, (outcome.crypto as CryptoResults["verify"]).subject);
}

/** The initiator is who it says: now our own proof. */
function proven(turn: Turn, sa: IkeSa, serving: AuthServing, subject: string | undefined): void {
  const { peer } = serving;
  sa.subject = subject;
  sa.localId = localIdentification(peer.localAuth, sa.local);
  const { localAuth } = peer;
  if (localAuth.method === "psk") {
    authenticated(turn, sa, serving, pskPayload(sa, localAuth.secret, sa.localId));
    return;
  }
  const scheme = schemeFor(sa, peer);
  if (!scheme) {
    const cause = fault("ike/authentication-failed", "the peer knows no signature method for our key");
    refuse(turn, sa, peer, serving.id, cause);
    return;
  }
  const octets = octetsOf(sa, sa.localId, true);
  const job = { kind: "sign", key: localAuth.key, scheme, octets } as const;
  turn.crypto(sa, "serving", job, { go: "serve-auth-signed", serving, method: scheme.method });
}

export function serveAuthSigned(turn: Turn, sa: IkeSa, serving: AuthServing, method: number, outcome: Outcome): void {
  if (!outcome.ok) {
    refuse(turn, sa, serving.peer, serving.id, outcome.failure);
    return;
  }
  authenticated(turn, sa, serving, { kind: "AUTH", method, data: (outcome.crypto as CryptoResults["sign"]).data });
}

function authenticated(turn: Turn, sa: IkeSa, serving: AuthServing, auth: AuthPayload): void {
  const { peer, id, payloads } = serving;
  if (!turn.core.peers.has(peer.id) || !sa.localId) {
    refuse(turn, sa, undefined, id, fault("ike/not-configured", "the peer was removed meanwhile"));
    return;
  }
  sa.peer = turn.core.peers.get(peer.id)?.config ?? peer;
  sa.remoteId = id;
  if (isRefusedAsSecond(turn, sa)) {
    refuse(turn, sa, peer, id, fault("ike/authentication-failed", "this identity has an IKE SA already"));
    return;
  }
  const { ni, nr } = handshakeOf(sa);
  establish(turn, sa, notifyIn(payloads, "INITIAL_CONTACT") !== undefined);
  const before: Payload[] = [{ kind: "IDr", ...sa.localId }, ...certificates(peer), auth];
  if (!find(payloads, "SA")) {
    respond(turn, sa, before);
    return;
  }
  try {
    beginAnswer(turn, sa, judge(turn, sa, payloads, { ni, nr }, true, undefined), before);
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
  id: Identification,
  cause: Parameters<typeof errorOf>[2],
): void {
  turn.count("authentication-failed");
  const error = errorOf(turn, "IKE_AUTH", cause, { theirs: `${identificationText(id)}${theirsOf(cause)}` });
  const named = peer !== undefined && isNamed(peer, id);
  refusedStranger(turn, peer, { remote: sa.remote, named }, error);
  turn.emit({ event: "auth-failed", peer: peer?.id, remote: sa.remote, error, at: turn.now });
  respond(turn, sa, [notification("AUTHENTICATION_FAILED")]);
  sa.phase = "deleting";
  sa.handshake = undefined;
  sa.dropAt = turn.now + REFUSED_MS;
}

function theirsOf(cause: Parameters<typeof errorOf>[2]): string {
  const theirs = isFault(cause) && cause.code !== "ike/identity-mismatch" ? cause.facts.theirs : undefined;
  return theirs ? ` by ${theirs}` : "";
}
