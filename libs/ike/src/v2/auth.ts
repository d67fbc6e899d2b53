import { type Fault, isFault } from "@sallyport/base";
import type { CryptoResults, Failure } from "../api.js";
import type { PeerConfig } from "../config.js";
import { notification } from "../wire/index.js";
import { EAP_CODE, NOTIFY } from "../wire/registry.js";
import type { Identification, Payload } from "../wire/types.js";
import { authenticated } from "./auth-child.js";
import { answerEapRequest, judgeKeyProof, resumeEap } from "./auth-eap.js";
import { nextExchange } from "./auth-exchange.js";
import { allocation, isUsableSpi, makeOffer, offerPayloads } from "./child-offer.js";
import type { PacketSelector } from "./child-sa.js";
import { type Contact, contactPayloads, firstContact } from "./contact.js";
import { errorOf, refusedBy, sidesOf } from "./failures.js";
import { fault } from "./faults.js";
import { certificateRequests, changeProving, handshakeOf, takesEapAlone, takesRounds } from "./handshake.js";
import { identificationText, identityAllowed, localIdentification, toIdentification } from "./identity.js";
import { connectFailed } from "./lifecycle.js";
import { all, ask, errorIn, find, notifyIn } from "./message.js";
import { announceMobike } from "./mobike.js";
import { ppkText, refusesWithoutPpk, settlePpk } from "./ppk.js";
import {
  badProof,
  expectedProof,
  isPinned,
  mismatch,
  notPinned,
  plainProof,
  prove,
  provedBy,
  provesSecret,
  proveWithoutPpk,
  refusesUrls,
  requireMultiple,
  signedProof,
  verifyJob,
  wrongRounds,
} from "./proof.js";
import { begin, change } from "./queue.js";
import { requestAddresses } from "./request-config.js";
import type { Asking, AskingThen, IkeSa, Outcome } from "./sa.js";
import type { Turn } from "./turn.js";
import { otherSas } from "./unique.js";
import { windowNotifies } from "./window.js";

/** How long the exchanges after the first IKE_AUTH may take together. */
const MORE_ROUNDS_MS = 120_000;

/** The CHILD SA that goes into IKE_AUTH. */
function firstChild(sa: IkeSa): { readonly packet: PacketSelector | undefined; readonly id: string } | undefined {
  const task = handshakeOf(sa).wanted[0];
  return task?.kind === "create-child" ? { packet: task.packet, id: task.child } : undefined;
}

/** Keys are there: IKE_AUTH begins with an SPI for its CHILD SA. */
export function startAuth(turn: Turn, sa: IkeSa): void {
  const refusal = refusesWithoutPpk(sa);
  if (refusal) {
    connectFailed(turn, sa, errorOf(turn, "IKE_SA_INIT", refusal));
    return;
  }
  const asking = begin(turn, sa, { kind: "auth" });
  const first = firstChild(sa);
  const runtime = first && turn.core.peers.get(sa.peer?.id ?? "")?.children.get(first.id);
  if (!runtime) {
    const message = "no CHILD SA is configured for this peer";
    connectFailed(turn, sa, errorOf(turn, "IKE_AUTH", { code: "ike/not-configured", message }));
    return;
  }
  turn.dataplane(sa, asking, allocation(sa, runtime.config, runtime.reqid), { go: "auth-offer-spi" });
}

export function authOfferSpi(turn: Turn, sa: IkeSa, asking: Asking, outcome: Outcome): void {
  const first = firstChild(sa);
  const runtime = first && turn.core.peers.get(sa.peer?.id ?? "")?.children.get(first.id);
  const spiIn = outcome.ok ? Number(outcome.values?.[0]) : 0;
  if (!outcome.ok) {
    connectFailed(turn, sa, errorOf(turn, "IKE_AUTH", outcome.failure));
    return;
  }
  if (!runtime || !isUsableSpi(spiIn)) {
    connectFailed(turn, sa, errorOf(turn, "IKE_AUTH", { code: "ike/data-plane", message: `SPI ${spiIn} was given` }));
    return;
  }
  const { config, reqid } = runtime;
  const nonce = handshakeOf(sa).ni;
  const child = makeOffer(sa, {
    config,
    reqid,
    spiIn,
    nonce,
    pair: undefined,
    pfs: false,
    packet: first?.packet,
    rekeys: undefined,
  });
  beginRound(turn, sa, change(sa, asking, { child }));
}

/** Our next proof; an empty request when only the responder has more to prove. */
function beginRound(turn: Turn, sa: IkeSa, asking: Asking): void {
  const { peer } = sa;
  const round = peer?.localAuth[handshakeOf(sa).proving.ours];
  if (!peer || !round) {
    ask(turn, sa, asking, []);
    return;
  }
  try {
    requireMultiple(sa, peer);
    sa.localId = localIdentification(round, sa.local, handshakeOf(sa).proving.authorities);
    if (round.method === "eap") changeProving(sa, { eap: { role: "peer", state: undefined, done: undefined } });
    const proof = prove(turn, sa, asking, round, sa.localId);
    if (proof !== "signing") sendRound(turn, sa, asking, proof);
  } catch (error) {
    if (!isFault(error)) throw error;
    connectFailed(turn, sa, errorOf(turn, "IKE_AUTH", error));
  }
}

type Signed = Extract<AskingThen, { go: "auth-signed" }>;

export function authSigned(turn: Turn, sa: IkeSa, asking: Asking, then: Signed, outcome: Outcome): void {
  if (!outcome.ok) {
    connectFailed(turn, sa, errorOf(turn, "IKE_AUTH", outcome.failure));
    return;
  }
  const proof = proveWithoutPpk(turn, sa, asking, signedProof(then, outcome));
  if (proof !== "signing") sendRound(turn, sa, asking, proof);
}

export function authSignedPlain(
  turn: Turn,
  sa: IkeSa,
  asking: Asking,
  proof: readonly Payload[],
  outcome: Outcome,
): void {
  if (!outcome.ok) connectFailed(turn, sa, errorOf(turn, "IKE_AUTH", outcome.failure));
  else sendRound(turn, sa, asking, plainProof(sa, proof, outcome));
}

/** The first request says all that is wanted besides (RFC 7296 §1.2), later ones an identity and its proof (RFC 4739 §2). */
function sendRound(turn: Turn, sa: IkeSa, asking: Asking, proof: readonly Payload[]): void {
  const { peer, localId } = sa;
  const { proving } = handshakeOf(sa);
  if (!peer || !localId) return;
  const isFirst = proving.ours === 0;
  // A round of EAP is over with the AUTH at its end.
  const ours = proving.eap ? proving.ours : proving.ours + 1;
  changeProving(sa, { ours });
  const certificates = all(proof, "CERT");
  const auth = proof.filter((p) => p.kind !== "CERT");
  const another = !proving.eap && peer.localAuth.length > ours ? [notification("ANOTHER_AUTH_FOLLOWS")] : [];
  if (!isFirst) {
    ask(turn, sa, asking, [{ kind: "IDi", ...localId }, ...certificates, ...auth, ...another]);
    return;
  }
  const contact = contactPayloads(ownContact(turn, sa, peer));
  const { identity } = peer.remoteAuth[0];
  const idr = identity.match === "is" ? toIdentification(identity.identity) : undefined;
  const child = asking.child && offerPayloads(asking.child);
  ask(turn, sa, asking, [
    { kind: "IDi", ...localId },
    ...certificates,
    ...certificateRequests([peer]),
    ...contact.notifies,
    ...(idr ? [{ kind: "IDr", ...idr } as const] : []),
    ...auth,
    ...requestAddresses(turn, sa),
    ...(child ? [...child.before, child.sa, ...child.ts] : []),
    ...takesRounds([peer]),
    ...takesEapAlone(peer),
    ...announceMobike(turn, sa),
    ...windowNotifies(sa),
    ...another,
    ...contact.vendor,
  ]);
}

function ownContact(turn: Turn, sa: IkeSa, peer: PeerConfig): Contact {
  const state = turn.core.peers.get(peer.id);
  return state && peer.initialContact && otherSas(turn, sa).length === 0 ? firstContact(turn, state) : "further";
}

/** A response of IKE_AUTH: first who the peer is and its proof, then what comes next. */
export function authAnswered(turn: Turn, sa: IkeSa, asking: Asking, payloads: readonly Payload[]): void {
  const { proving } = handshakeOf(sa);
  const [idr, auth, eap] = [find(payloads, "IDr"), find(payloads, "AUTH"), find(payloads, "EAP")];
  const error = errorIn(payloads);
  const awaited = proving.expected || proving.eap !== undefined;
  if (error?.type === NOTIFY.AUTHENTICATION_FAILED || (error && awaited && !idr && !auth && !eap)) {
    const told = { ...refusedBy(turn, "IKE_AUTH", error.type), ours: ourClaim(sa) };
    // What we have refused in EAP is why.
    connectFailed(turn, sa, handshakeOf(sa).refused ?? told);
  } else if (idr) judgeProof(turn, sa, asking, payloads, { idType: idr.idType, data: idr.data });
  else if (auth) {
    const { refusal, alone } = judgeKeyProof(sa, auth, payloads);
    if (refusal) distrust(turn, sa, refusal);
    else if (alone) roundProven(turn, sa, asking, payloads);
    else goOn(turn, sa, asking, payloads);
  } else if (proving.expected && !mayProveLater(sa)) distrust(turn, sa, noProof(sa));
  else goOn(turn, sa, asking, payloads);
}

function judgeProof(turn: Turn, sa: IkeSa, asking: Asking, payloads: readonly Payload[], id: Identification): void {
  const { peer } = sa;
  const { proving } = handshakeOf(sa);
  const round = peer?.remoteAuth[proving.theirs];
  const auth = find(payloads, "AUTH");
  if (!peer) return;
  if (!proving.expected || !round) {
    distrust(turn, sa, wrongRounds(peer.remoteAuth.length, proving.theirs, true));
    return;
  }
  if (!identityAllowed(round.identity, round.method, peer.remote.endpoint, id)) {
    distrust(turn, sa, mismatch(peer, round, id));
    return;
  }
  sa.remoteId = id;
  if (!auth) {
    if (round.method === "eap" && proving.eap) goOn(turn, sa, asking, payloads);
    else distrust(turn, sa, noProof(sa));
    return;
  }
  const refusal = settlePpk(sa, payloads);
  if (refusal || !sa.keys) {
    distrust(turn, sa, refusal ?? noProof(sa));
    return;
  }
  const proven = { keys: sa.keys, auth };
  if (provesSecret(sa, round, id, proven)) {
    roundProven(turn, sa, asking, payloads);
    return;
  }
  const byUrl = refusesUrls(payloads);
  if (byUrl || isPinned(round, payloads) === false) {
    distrust(turn, sa, byUrl ?? notPinned(payloads, [round]));
    return;
  }
  const job = verifyJob(sa, round, id, proven, payloads);
  if (!job) {
    distrust(turn, sa, badProof(round, auth));
    return;
  }
  turn.crypto(sa, asking, job, { go: "auth-verified", payloads });
}

/** While EAP is under way: the responder's further rounds, and its only one when that is EAP itself. */
function mayProveLater(sa: IkeSa): boolean {
  const { eap, theirs } = handshakeOf(sa).proving;
  const alone = sa.remoteId !== undefined && sa.peer?.remoteAuth[0].method === "eap";
  return eap !== undefined && (theirs > 0 || alone);
}

/** No credential of ours goes to a responder that has not proved itself in the way that it should (hostile input 19). */
function noProof(sa: IkeSa): Fault {
  const ours = sa.peer?.remoteAuth.map((round) => round.method).join(", then ") ?? "?";
  return fault("ike/authentication-failed", "the peer does not prove itself", { facts: { ours, theirs: "no AUTH" } });
}

function ourClaim(sa: IkeSa): string {
  const { ours, eap, ppk } = handshakeOf(sa).proving;
  const round = sa.peer?.localAuth[eap ? ours : ours - 1];
  const mixed = ppk === "sent" ? ` with ${ppkText(sa.peer?.ppk)}` : "";
  return `${sa.localId ? identificationText(sa.localId) : "?"} by ${round?.method ?? "?"}${mixed}`;
}

/** The peer has to be told that it failed, unless it knows (RFC 7296 §2.21.2). */
function distrust(turn: Turn, sa: IkeSa, cause: Fault | Failure, tell = true): void {
  const expected = sa.peer ? expectedProof(sa, sa.peer) : "?";
  const { ours = expected, theirs = sa.remoteId ? identificationText(sa.remoteId) : "?" } = sidesOf(cause);
  connectFailed(turn, sa, errorOf(turn, "IKE_AUTH", cause, { ours, theirs }), tell);
}

export function authVerified(
  turn: Turn,
  sa: IkeSa,
  asking: Asking,
  payloads: readonly Payload[],
  outcome: Outcome,
): void {
  if (!outcome.ok) {
    distrust(turn, sa, outcome.failure);
    return;
  }
  const round = sa.peer?.remoteAuth[handshakeOf(sa).proving.theirs];
  provedBy(sa, round, outcome.crypto as CryptoResults["verify"]);
  roundProven(turn, sa, asking, payloads);
}

function roundProven(turn: Turn, sa: IkeSa, asking: Asking, payloads: readonly Payload[]): void {
  const expected = notifyIn(payloads, "ANOTHER_AUTH_FOLLOWS") !== undefined;
  const theirs = handshakeOf(sa).proving.theirs + 1;
  const wanted = sa.peer?.remoteAuth.length ?? 0;
  if (expected !== theirs < wanted) {
    distrust(turn, sa, wrongRounds(wanted, theirs, expected));
    return;
  }
  changeProving(sa, { theirs, expected });
  goOn(turn, sa, asking, payloads);
}

/** Our round has been taken, as far as it went: the next step, until neither end has any more to prove. */
function goOn(turn: Turn, sa: IkeSa, asking: Asking, payloads: readonly Payload[]): void {
  const { proving } = handshakeOf(sa);
  const packet = find(payloads, "EAP");
  if (proving.eap || packet) {
    sa.dropAt ??= turn.now + MORE_ROUNDS_MS;
    const refusal = answerEapRequest(turn, sa, asking, packet);
    // Who has sent EAP-Failure knows.
    if (refusal) distrust(turn, sa, refusal, packet?.code !== EAP_CODE.FAILURE);
  } else if (proving.ours === sa.peer?.localAuth.length && !proving.expected) {
    authenticated(turn, sa, asking, payloads);
  } else {
    sa.dropAt ??= turn.now + MORE_ROUNDS_MS;
    beginRound(turn, sa, nextExchange(turn, sa, asking));
  }
}

export function authEap(turn: Turn, sa: IkeSa, asking: Asking, outcome: Outcome): void {
  const refusal = resumeEap(turn, sa, asking, outcome);
  if (refusal) distrust(turn, sa, refusal);
}
