import { type Fault, type IpAddress, isFault } from "@sallyport/base";
import type { CryptoResults } from "../api.js";
import type { IdentityMatch, PeerConfig, RemoteAuth } from "../config.js";
import type { EapDone, EapServer } from "../eap/index.js";
import { notification } from "../wire/index.js";
import { AUTH_METHOD } from "../wire/registry.js";
import type { AuthPayload, Identification, Payload } from "../wire/types.js";
import { beginAnswer, judge, refusal } from "./child-answer.js";
import { contactOf } from "./contact.js";
import { errorOf } from "./failures.js";
import { fault } from "./faults.js";
import { changeProving, handshakeOf, requestedAuthorities } from "./handshake.js";
import type { AuthServing } from "./handshake-state.js";
import { identificationText, identityAllowed, localIdentification, sameIdentification } from "./identity.js";
import { childFailed, establish } from "./lifecycle.js";
import { find, must, notifyIn, respond } from "./message.js";
import { agreeMobike, announceMobike } from "./mobike.js";
import { closeness } from "./peer-index.js";
import { confirmPpk, type Judged, judgePpk, takePpk } from "./ppk.js";
import {
  badEapProof,
  badProof,
  eapProof,
  isPinned,
  mismatch,
  notPinned,
  prove,
  provedBy,
  provesEap,
  provesSecret,
  refusesUrls,
  requireMultiple,
  roundsText,
  signedProof,
  verifyJob,
  wrongRounds,
} from "./proof.js";
import { lifetimeNotifies } from "./reauth.js";
import type { IkeSa, Outcome, ServingThen } from "./sa.js";
import { serveAddresses } from "./serve-config.js";
import { eapOf, openEap, takeEap } from "./serve-eap.js";
import { isNamed, passedOver, refuse, refuseProven } from "./serve-refuse.js";
import type { Turn } from "./turn.js";
import { refusedFurther } from "./unique.js";
import { userCertified } from "./users.js";
import { answerWindow } from "./window.js";

/** Configurations whose trust anchors one chain is held against. */
const MAX_TRIED = 8;

/** A request of IKE_AUTH: the first, or one with which another round begins (RFC 4739 §2). */
export function serveAuth(turn: Turn, sa: IkeSa, payloads: readonly Payload[]): void {
  const { eap, first } = handshakeOf(sa).proving;
  if (first.length === 0) firstRound(turn, sa, payloads);
  else if (eap?.role === "server") withinEap(turn, sa, payloads, eap.state, eap.done);
  else laterRound(turn, sa, payloads);
}

/** EAP goes on, or its key proves who has come through it (RFC 7296 §2.16). */
function withinEap(
  turn: Turn,
  sa: IkeSa,
  payloads: readonly Payload[],
  state: EapServer,
  done: EapDone | undefined,
): void {
  const { peer, remoteId, localId } = sa;
  const [packet, auth] = [find(payloads, "EAP"), find(payloads, "AUTH")];
  if (!peer || !remoteId || !localId || find(payloads, "IDi") || (done ? packet || !auth : auth || !packet)) {
    const facts = { ours: done ? "AUTH" : "EAP", theirs: payloads.map((p) => p.kind).join(", ") || "nothing" };
    refuse(turn, sa, peer, remoteId, fault("ike/authentication-failed", "the peer does not go on with EAP", { facts }));
  } else if (packet) takeEap(turn, sa, state, packet);
  else if (done && auth) {
    const judged = judgePpk(sa, peer, payloads, auth);
    if ("refusal" in judged || !provesEap(sa, done, remoteId, judged)) {
      refuse(turn, sa, peer, remoteId, "refusal" in judged ? judged.refusal : badEapProof(done));
      return;
    }
    takePpk(sa, peer, judged.ppk);
    if (!counted(turn, sa, peer, payloads)) return;
    const alone = peer.localAuth[handshakeOf(sa).proving.ours]?.method === "eap";
    changeProving(sa, { eap: undefined });
    complete(turn, sa, { before: eapProof(sa, done, localId), rounds: alone ? 1 : 0, beside: [] });
  }
}

/** Which peer it is, is decided by its identity, the one it asks for, and the kind and number of its proofs. */
function firstRound(turn: Turn, sa: IkeSa, payloads: readonly Payload[]): void {
  const idi = must(payloads, "IDi");
  const id = { idType: idi.idType, data: idi.data };
  const authorities = requestedAuthorities(payloads);
  changeProving(sa, {
    multiple: notifyIn(payloads, "MULTIPLE_AUTH_SUPPORTED") !== undefined,
    authorities,
    first: payloads,
  });
  const { candidates } = handshakeOf(sa);
  const known = mostExact(
    candidates.filter((p) => isNamed(p, id)),
    sa.remote.address,
  );
  const [closest] = candidates;
  if (known.length === 0 && closest) {
    const { peer, cause } = passedOver(turn, sa, id) ?? {
      peer: only(candidates),
      cause: mismatch(closest, closest.remoteAuth[0], id),
    };
    refuse(turn, sa, peer, id, cause);
    return;
  }
  const idr = find(payloads, "IDr");
  const asked = known.filter(
    (p) => !idr || sameIdentification(idr, localIdentification(p.localAuth[0], sa.local, authorities)),
  );
  const matching = asked.length > 0 ? asked : known;
  const several = notifyIn(payloads, "ANOTHER_AUTH_FOLLOWS") !== undefined;
  const byEap = !find(payloads, "AUTH");
  const fitting = matching.filter((p) => (byEap ? eapOf(sa, p) : p.remoteAuth.length > 1 === several));
  verifyRound(turn, sa, fitting.length > 0 ? fitting : matching, id, payloads);
}

const EXACTNESS: Readonly<Record<IdentityMatch["match"], number>> = { is: 2, like: 1, auto: 0, any: 0, ignore: 0 };

/** Of those that are equally close, who expects this very name comes before who takes many (PEER-01, IDENT-14). */
function mostExact(peers: readonly PeerConfig[], remote: IpAddress): PeerConfig[] {
  const exactness = ({ remoteAuth: [round] }: PeerConfig) => EXACTNESS[round.identity.match];
  return peers.toSorted((a, b) => closeness(b, remote) - closeness(a, remote) || exactness(b) - exactness(a));
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
    else answerRound(turn, sa, []);
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
  if (!identityAllowed(round.identity, round.method, closest.remote.endpoint, id)) {
    refuse(turn, sa, closest, id, mismatch(closest, round, id));
    return;
  }
  if (!auth) {
    beginEap(turn, sa, matching, id, round);
    return;
  }
  const { fitting, refusal } = judgeEach(sa, matching, payloads, auth);
  if (auth.method === AUTH_METHOD.SHARED_KEY) {
    const found = fitting.find(({ peer, judged }) => provesSecret(sa, roundOf(sa, peer) ?? round, id, judged));
    if (found) proven(turn, sa, { peer: found.peer, others: [], ppk: found.judged.ppk, id, payloads });
    else refuse(turn, sa, only(matching), id, refusal ?? badProof(round, auth));
    return;
  }
  const byUrl = refusesUrls(payloads);
  const signers = byUrl ? [] : signersOf(sa, fitting, payloads);
  if (!verifyNext(turn, sa, signers.slice(0, MAX_TRIED), id, payloads, auth)) {
    const rounds = fitting.flatMap(({ peer }) => roundOf(sa, peer) ?? []);
    const others = rounds.length > 0 && rounds.every((r) => isPinned(r, payloads) === false);
    const cause = byUrl ?? refusal ?? (others ? notPinned(payloads, rounds) : badProof(round, auth));
    refuse(turn, sa, only(matching), id, cause);
  }
}

/** Those whose very certificate is shown come first, those that ask for another one not at all (IDENT-06, IDENT-14). */
function signersOf(sa: IkeSa, fitting: readonly Fitting[], payloads: readonly Payload[]): PeerConfig[] {
  const known: PeerConfig[] = [];
  const others: PeerConfig[] = [];
  for (const { peer } of fitting) {
    const round = roundOf(sa, peer);
    if (round?.method !== "certificate") continue;
    const pinned = isPinned(round, payloads);
    if (pinned) known.push(peer);
    else if (pinned === undefined) others.push(peer);
  }
  return [...known, ...others];
}

interface Fitting {
  readonly peer: PeerConfig;
  readonly judged: Judged;
}

/** Those that agree with the initiator on a PPK or on none, those with it first; if none does, why the first does not. */
function judgeEach(
  sa: IkeSa,
  matching: readonly PeerConfig[],
  payloads: readonly Payload[],
  auth: AuthPayload,
): { readonly fitting: readonly Fitting[]; readonly refusal: Fault | undefined } {
  const [mixed, plain]: [Fitting[], Fitting[]] = [[], []];
  let refusal: Fault | undefined;
  for (const peer of matching) {
    const judged = judgePpk(sa, peer, payloads, auth);
    if ("refusal" in judged) refusal ??= judged.refusal;
    else (judged.ppk ? mixed : plain).push({ peer, judged });
  }
  const fitting = [...mixed, ...plain];
  return { fitting, refusal: fitting.length > 0 ? undefined : refusal };
}

function beginEap(turn: Turn, sa: IkeSa, matching: readonly PeerConfig[], id: Identification, round: RemoteAuth): void {
  const peer = matching.find((p) => eapOf(sa, p));
  const config = peer && eapOf(sa, peer);
  if (!peer || !config) {
    refuse(turn, sa, only(matching), id, badProof(round, undefined));
    return;
  }
  sa.peer = peer;
  sa.remoteId = id;
  const request = openEap(turn, sa, config, id);
  if (request) answerRound(turn, sa, [request]);
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
  const judged = peer && judgePpk(sa, peer, payloads, auth);
  if (!peer || !round || !judged || "refusal" in judged) return false;
  const job = verifyJob(sa, round, id, judged, payloads);
  if (!job) return false;
  const { ppk } = judged;
  turn.serveCrypto(sa, job, { go: "serve-auth-verified", serving: { peer, others, ppk, id, payloads } });
  return true;
}

function roundOf(sa: IkeSa, peer: PeerConfig): RemoteAuth | undefined {
  return peer.remoteAuth[handshakeOf(sa).proving.theirs];
}

function only(peers: readonly PeerConfig[]): PeerConfig | undefined {
  return peers.length === 1 ? peers[0] : undefined;
}

export function serveAuthVerified(turn: Turn, sa: IkeSa, serving: AuthServing, outcome: Outcome): void {
  if (outcome.ok) {
    const certificate = outcome.crypto as CryptoResults["verify"];
    provedBy(sa, roundOf(sa, serving.peer), certificate);
    proven(turn, sa, serving, certificate.names);
    return;
  }
  const { id, payloads, others } = serving;
  if (!verifyNext(turn, sa, others, id, payloads, must(payloads, "AUTH"))) {
    refuse(turn, sa, serving.peer, id, outcome.failure);
  }
}

/** The initiator is who it says, or whom its certificate names, as far as this round goes: now our own proof. */
function proven(turn: Turn, sa: IkeSa, { peer, ppk, id, payloads }: AuthServing, names?: readonly string[]): void {
  const state = turn.core.peers.get(peer.id);
  if (!state) {
    refuse(turn, sa, undefined, id, fault("ike/not-configured", "the peer was removed meanwhile"));
    return;
  }
  sa.peer = state.config;
  sa.remoteId = id;
  const certified = userCertified(sa, names);
  sa.user ??= certified;
  changeProving(sa, { proven: [...handshakeOf(sa).proving.proven, certified ?? identificationText(id)] });
  takePpk(sa, peer, ppk);
  if (counted(turn, sa, sa.peer, payloads)) answerRound(turn, sa, []);
}

/** One more of the initiator's rounds is over; false: it has not the number of them that it should. */
function counted(turn: Turn, sa: IkeSa, peer: PeerConfig, payloads: readonly Payload[]): boolean {
  const expected = notifyIn(payloads, "ANOTHER_AUTH_FOLLOWS") !== undefined;
  const theirs = handshakeOf(sa).proving.theirs + 1;
  if (expected === theirs < peer.remoteAuth.length) {
    changeProving(sa, { theirs, expected });
    return true;
  }
  refuse(turn, sa, peer, sa.remoteId, wrongRounds(peer.remoteAuth.length, theirs, expected));
  return false;
}

/** Our own next proof, with what goes out beside it. */
function answerRound(turn: Turn, sa: IkeSa, beside: readonly Payload[]): void {
  const { peer } = sa;
  const { proving } = handshakeOf(sa);
  const round = peer?.localAuth[proving.ours];
  if (!peer || !round) {
    complete(turn, sa, { before: [], rounds: 0, beside });
    return;
  }
  try {
    requireMultiple(sa, peer);
    if (round.method === "eap" && !proving.eap) throw badProof(peer.remoteAuth[0], undefined);
    sa.localId = localIdentification(round, sa.local, proving.authorities);
    const proof = prove(turn, sa, "serving", round, sa.localId, beside);
    if (proof !== "signing") complete(turn, sa, ownRound(sa.localId, proof, beside));
  } catch (error) {
    if (!isFault(error)) throw error;
    refuse(turn, sa, peer, sa.remoteId, error);
  }
}

type Signed = Extract<ServingThen, { go: "serve-auth-signed" }>;

export function serveAuthSigned(turn: Turn, sa: IkeSa, then: Signed, outcome: Outcome): void {
  if (!sa.localId) return;
  if (outcome.ok) complete(turn, sa, ownRound(sa.localId, signedProof(then, outcome), then.beside));
  else refuse(turn, sa, sa.peer, sa.remoteId, outcome.failure);
}

/** What this end puts into a response of IKE_AUTH before the CHILD SA, and the rounds of ours that are over with it. */
interface Part {
  readonly before: readonly Payload[];
  readonly rounds: 0 | 1;
  /** EAP: the exchange goes on. */
  readonly beside: readonly Payload[];
}

function ownRound(id: Identification, proof: readonly Payload[], beside: readonly Payload[]): Part {
  return { before: [{ kind: "IDr", ...id }, ...proof], rounds: proof.length > 0 ? 1 : 0, beside };
}

/** Our part is ready. It is the last response once neither end has any more to prove. */
function complete(turn: Turn, sa: IkeSa, { before, rounds, beside }: Part): void {
  const { peer } = sa;
  const { proving } = handshakeOf(sa);
  if (!peer) return;
  const ours = proving.ours + rounds;
  changeProving(sa, { ours });
  const told = [...before, ...confirmPpk(sa)];
  const another = rounds > 0 && ours < peer.localAuth.length;
  if (another || proving.expected || ours < peer.localAuth.length) {
    respond(turn, sa, [...told, ...beside, ...(another ? [notification("ANOTHER_AUTH_FOLLOWS")] : [])]);
    return;
  }
  const further = refusedFurther(turn, sa, contactOf(proving.first));
  if (further) {
    refuseProven(turn, sa, peer, further);
    return;
  }
  authenticated(turn, sa, [...told, ...answerWindow(sa, proving.first)]);
}

/** Both ends have proved themselves: what the first request asked for is given. */
function authenticated(turn: Turn, sa: IkeSa, proof: readonly Payload[]): void {
  const { ni, nr, proving } = handshakeOf(sa);
  const { first } = proving;
  agreeMobike(turn, sa, first);
  const before = [...proof, ...announceMobike(turn, sa)];
  establish(turn, sa, contactOf(first));
  try {
    const answer = [...before, ...lifetimeNotifies(turn, sa), ...serveAddresses(turn, sa, first)];
    if (!find(first, "SA")) respond(turn, sa, answer);
    else beginAnswer(turn, sa, judge(turn, sa, first, { ni, nr }, true, undefined), answer);
  } catch (error) {
    const notify = refusal(error);
    if (isFault(error)) childFailed(turn, sa, undefined, errorOf(turn, "IKE_AUTH", error), true);
    respond(turn, sa, [...before, notify]);
  }
}
