import { type Fault, isFault } from "@sallyport/base";
import type { CryptoResults } from "../api.js";
import type { PeerConfig } from "../config.js";
import { authOctets, chooseScheme, pskAuth, verifyPskAuth } from "../crypto/index.js";
import type { SignatureScheme } from "../crypto/types.js";
import { notification } from "../wire/index.js";
import { AUTH_METHOD, CERT_ENCODING } from "../wire/registry.js";
import type { AuthPayload, Identification, Payload } from "../wire/types.js";
import { adoptChild, build, installOps, reqidOf, undoInstall } from "./child.js";
import { acceptAnswer, allocation, isUsableSpi, makeOffer, offerPayloads } from "./child-offer.js";
import { resolveDuplicates } from "./collisions.js";
import { childRefused, errorOf, refusedBy } from "./failures.js";
import { fault } from "./faults.js";
import { certificateRequests, handshakeOf } from "./handshake.js";
import {
  expectedText,
  identificationText,
  identityAllowed,
  localIdentification,
  toIdentification,
  toIdentity,
} from "./identity.js";
import { deletedEarly } from "./informational.js";
import { childFailed, connectFailed, ensure, establish } from "./lifecycle.js";
import { all, ask, errorIn, find } from "./message.js";
import { enqueueFirst, finish } from "./queue.js";
import type { Built, ChildOffer, IkeSa, Outcome, PacketSelector, Task } from "./sa.js";
import type { Turn } from "./turn.js";
import { otherSas } from "./unique.js";

/** What this end (`mine`) or the peer signs (RFC 7296 §2.15). */
export function octetsOf(sa: IkeSa, id: Identification, mine: boolean): Uint8Array {
  const h = handshakeOf(sa);
  const { keys, suite } = sa;
  if (!keys || !suite) throw fault("ike/unexpected", "no keys yet");
  const byInitiator = mine === sa.initiator;
  return authOctets({
    prf: suite.prf,
    message: mine ? h.sent : h.received,
    nonce: byInitiator ? h.nr : h.ni,
    skP: byInitiator ? keys.pi : keys.pr,
    idType: id.idType,
    idData: id.data,
  });
}

/** Undefined when the peer knows no hash and no method for our key. */
export function schemeFor(sa: IkeSa, peer: PeerConfig): SignatureScheme | undefined {
  const auth = peer.localAuth;
  return auth.method === "certificate" ? chooseScheme(auth.keyKind, handshakeOf(sa).peerHashes) : undefined;
}

export function certificates(peer: PeerConfig): Payload[] {
  if (peer.localAuth.method !== "certificate") return [];
  return peer.localAuth.chain.map((data) => ({ kind: "CERT", encoding: CERT_ENCODING.X509_SIGNATURE, data }));
}

export function pskPayload(sa: IkeSa, secret: Uint8Array, id: Identification): AuthPayload {
  if (!sa.suite) throw fault("ike/unexpected", "no keys yet");
  const data = pskAuth(sa.suite.prf, secret, octetsOf(sa, id, true));
  return { kind: "AUTH", method: AUTH_METHOD.SHARED_KEY, data };
}

/** Whether one of the accepted secrets made `auth`; an empty secret proves nothing (hostile input 28). */
export function provesSecret(sa: IkeSa, peer: PeerConfig, id: Identification, auth: AuthPayload): boolean {
  const { remoteAuth } = peer;
  if (remoteAuth.method !== "psk" || auth.method !== AUTH_METHOD.SHARED_KEY || !sa.suite) return false;
  const { prf } = sa.suite;
  const octets = octetsOf(sa, id, false);
  return remoteAuth.secrets.some((secret) => secret.length > 0 && verifyPskAuth(prf, secret, octets, auth.data));
}

/** Undefined when the peer is not to prove itself by certificate or its identity is of no use. */
export function verifyJob(
  sa: IkeSa,
  peer: PeerConfig,
  id: Identification,
  auth: AuthPayload,
  payloads: readonly Payload[],
) {
  const { remoteAuth } = peer;
  const identity = toIdentity(id);
  if (remoteAuth.method !== "certificate" || auth.method === AUTH_METHOD.SHARED_KEY || !identity) return undefined;
  const chain = all(payloads, "CERT").filter((c) => c.encoding === CERT_ENCODING.X509_SIGNATURE);
  return {
    kind: "verify",
    auth: { method: auth.method, data: auth.data },
    octets: octetsOf(sa, id, false),
    certificates: chain.map((c) => c.data),
    trust: remoteAuth.trust,
    peer: identity,
    identity: remoteAuth.identity,
  } as const;
}

/** The CHILD SA that goes into IKE_AUTH. */
function firstChild(
  sa: IkeSa,
): { readonly task: Task; readonly packet: PacketSelector | undefined; readonly id: string } | undefined {
  const task = handshakeOf(sa).wanted[0];
  return task?.kind === "create-child" ? { task, packet: task.packet, id: task.child } : undefined;
}

/** Keys are there: IKE_AUTH begins with an SPI for its CHILD SA. */
export function startAuth(turn: Turn, sa: IkeSa): void {
  sa.asking = { task: { kind: "auth" }, mid: sa.nextOurs, datagrams: [], tries: 0, resendAt: 0, answered: false };
  sa.nextOurs++;
  const first = firstChild(sa);
  const runtime = first && turn.core.peers.get(sa.peer?.id ?? "")?.children.get(first.id);
  if (!runtime) {
    const message = "no CHILD SA is configured for this peer";
    connectFailed(turn, sa, errorOf(turn, "IKE_AUTH", { code: "ike/not-configured", message }));
    return;
  }
  turn.dataplane(sa, "asking", allocation(sa, runtime.config, runtime.reqid), { go: "auth-offer-spi" });
}

export function authOfferSpi(turn: Turn, sa: IkeSa, outcome: Outcome): void {
  const first = firstChild(sa);
  const runtime = first && turn.core.peers.get(sa.peer?.id ?? "")?.children.get(first.id);
  const spiIn = outcome.ok ? Number(outcome.values?.[0]) : 0;
  if (!outcome.ok) {
    connectFailed(turn, sa, errorOf(turn, "IKE_AUTH", outcome.failure));
    return;
  }
  if (!runtime || !sa.peer || !isUsableSpi(spiIn)) {
    connectFailed(turn, sa, errorOf(turn, "IKE_AUTH", { code: "ike/data-plane", message: `SPI ${spiIn} was given` }));
    return;
  }
  const { config, reqid } = runtime;
  const nonce = handshakeOf(sa).ni;
  const offer = makeOffer(sa, {
    config,
    reqid,
    spiIn,
    nonce,
    pair: undefined,
    pfs: false,
    packet: first?.packet,
    rekeys: undefined,
  });
  sa.localId = localIdentification(sa.peer.localAuth, sa.local);
  const { localAuth } = sa.peer;
  if (localAuth.method === "psk") {
    sendAuth(turn, sa, offer, pskPayload(sa, localAuth.secret, sa.localId));
    return;
  }
  const scheme = schemeFor(sa, sa.peer);
  if (!scheme) {
    const message = "the peer knows no signature method for our key";
    connectFailed(turn, sa, errorOf(turn, "IKE_AUTH", { code: "ike/authentication-failed", message }));
    return;
  }
  const octets = octetsOf(sa, sa.localId, true);
  turn.crypto(
    sa,
    "asking",
    { kind: "sign", key: localAuth.key, scheme, octets },
    { go: "auth-offer-signed", offer, method: scheme.method },
  );
}

export function authOfferSigned(turn: Turn, sa: IkeSa, offer: ChildOffer, method: number, outcome: Outcome): void {
  if (!outcome.ok) {
    connectFailed(turn, sa, errorOf(turn, "IKE_AUTH", outcome.failure));
    return;
  }
  sendAuth(turn, sa, offer, { kind: "AUTH", method, data: (outcome.crypto as CryptoResults["sign"]).data });
}

function sendAuth(turn: Turn, sa: IkeSa, offer: ChildOffer, auth: AuthPayload): void {
  const { peer, localId } = sa;
  if (!peer || !localId) return;
  const child = offerPayloads(offer);
  const contact = peer.initialContact && otherSas(turn, sa).length === 0;
  const { identity } = peer.remoteAuth;
  const idr = identity.match === "is" ? toIdentification(identity.identity) : undefined;
  ask(
    turn,
    sa,
    [
      { kind: "IDi", ...localId },
      ...certificates(peer),
      ...certificateRequests([peer]),
      ...(contact ? [notification("INITIAL_CONTACT")] : []),
      ...(idr ? [{ kind: "IDr", ...idr } as const] : []),
      auth,
      ...child.before,
      child.sa,
      ...child.ts,
    ],
    { child: offer },
  );
}

/** The responder's IKE_AUTH: first who it is, then its proof, then the CHILD SA. */
export function authAnswered(turn: Turn, sa: IkeSa, payloads: readonly Payload[]): void {
  const { peer } = sa;
  const idr = find(payloads, "IDr");
  const auth = find(payloads, "AUTH");
  if (!peer || !idr || !auth) {
    const notify = errorIn(payloads)?.type ?? 0;
    connectFailed(turn, sa, { ...refusedBy(turn, "IKE_AUTH", notify), ours: ourClaim(sa) });
    return;
  }
  const { remoteAuth } = peer;
  const id = { idType: idr.idType, data: idr.data };
  if (!identityAllowed(remoteAuth.identity, remoteAuth.method, peer.remote.endpoint, id)) {
    distrust(turn, sa, mismatch(peer, id));
    return;
  }
  sa.remoteId = id;
  if (provesSecret(sa, peer, id, auth)) {
    trusted(turn, sa, payloads, undefined);
    return;
  }
  const job = verifyJob(sa, peer, id, auth, payloads);
  if (!job) {
    distrust(turn, sa, badProof(peer, auth));
    return;
  }
  turn.crypto(sa, "asking", job, { go: "auth-verified", payloads });
}

function ourClaim(sa: IkeSa): string {
  return `${sa.localId ? identificationText(sa.localId) : "?"} by ${sa.peer?.localAuth.method ?? "?"}`;
}

export function mismatch(peer: PeerConfig, id: Identification): Fault {
  const ours = expectedText(peer.remoteAuth.identity, peer.remote.endpoint);
  const theirs = identificationText(id);
  return fault("ike/identity-mismatch", `the peer calls itself ${theirs}, expected ${ours}`, {
    facts: { ours, theirs },
  });
}

export function badProof(peer: PeerConfig, auth: AuthPayload): Fault {
  const theirs = auth.method === AUTH_METHOD.SHARED_KEY ? "psk" : `signature method ${auth.method}`;
  const ours = peer.remoteAuth.method;
  const same = ours === "psk" && auth.method === AUTH_METHOD.SHARED_KEY;
  const message = same ? "the peer does not have the pre-shared key" : "the peer proves itself by another method";
  return fault("ike/authentication-failed", message, { facts: { ours, theirs } });
}

/** The peer has to be told that it failed (RFC 7296 §2.21.2). */
function distrust(turn: Turn, sa: IkeSa, cause: Fault | { code: string; message: string }): void {
  connectFailed(turn, sa, errorOf(turn, "IKE_AUTH", cause), true);
}

export function authVerified(turn: Turn, sa: IkeSa, payloads: readonly Payload[], outcome: Outcome): void {
  if (!outcome.ok) {
    distrust(turn, sa, outcome.failure);
    return;
  }
  trusted(turn, sa, payloads, (outcome.crypto as CryptoResults["verify"]).subject);
}

function trusted(turn: Turn, sa: IkeSa, payloads: readonly Payload[], subject: string | undefined): void {
  const offer = sa.asking?.child;
  const { nr } = handshakeOf(sa);
  sa.subject = subject;
  establish(turn, sa, false);
  if (!offer) {
    finish(sa);
    return;
  }
  const error = errorIn(payloads);
  if (error || !find(payloads, "SA")) {
    const notify = error?.type ?? 0;
    turn.apply([{ op: "removeSa", args: [{ destination: sa.local.address, protocol: "esp", spi: offer.spiIn }] }]);
    finish(sa);
    childFailed(turn, sa, offer.config.id, childRefused(turn, "IKE_AUTH", notify, offer));
    return;
  }
  try {
    const accepted = acceptAnswer(offer, payloads);
    const reqid = reqidOf(turn, sa, offer.config, accepted.agreed.local, accepted.agreed.remote);
    const built = build(turn, sa, { ...accepted.agreed, reqid, ni: offer.nonce, nr, shared: undefined });
    turn.dataplane(sa, "asking", installOps(turn, sa, built), { go: "auth-child-installed", built });
  } catch (cause) {
    if (!isFault(cause)) throw cause;
    finish(sa);
    childFailed(turn, sa, offer.config.id, errorOf(turn, "IKE_AUTH", cause));
    enqueueFirst(turn, sa, { kind: "reject-child", spiIn: offer.spiIn });
  }
}

export function authChildInstalled(turn: Turn, sa: IkeSa, built: Built, outcome: Outcome): void {
  const deleted = sa.asking?.deleted;
  finish(sa);
  if (!outcome.ok) {
    undoInstall(turn, sa, built, outcome.at);
    enqueueFirst(turn, sa, { kind: "reject-child", spiIn: built.child.spiIn });
    childFailed(turn, sa, built.child.config.id, errorOf(turn, "IKE_AUTH", outcome.failure));
    return;
  }
  adoptChild(turn, sa, built.child, undefined);
  resolveDuplicates(turn, sa, built.child);
  deletedEarly(turn, sa, built.child, deleted);
  ensure(turn, sa.peer?.id);
}
