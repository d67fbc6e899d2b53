import type { CryptoResults } from "../api.js";
import type { PeerConfig } from "../config.js";
import { DH, deriveIkeKeys, dhGroupOf, ikeSuite, OFFERED_HASHES, protector } from "../crypto/index.js";
import type { DhGroup, IkeSuite } from "../crypto/types.js";
import { checkPlacement, decodeMessage, NOTIFY, NOTIFY_DATA, notification, proposalsText } from "../wire/index.js";
import type { Message, Payload } from "../wire/types.js";
import { startAuth } from "./auth.js";
import type { PeerState } from "./core.js";
import { errorOf, refusedBy } from "./failures.js";
import { connectFailed } from "./lifecycle.js";
import { ask, errorIn, must, notifyIn } from "./message.js";
import { detectNat, natNotifies } from "./nat.js";
import { lower, newSa } from "./new-sa.js";
import { ikeProposals, isAnswerTo } from "./proposals.js";
import type { Handshake, IkeSa, Outcome, Task } from "./sa.js";
import type { Turn } from "./turn.js";

export const NONCE_BYTES = 32;
const MAX_REFUSALS = 4;
const NOTHING = new Uint8Array(0);

export function usesCertificates(peer: PeerConfig): boolean {
  return peer.localAuth.method === "certificate" || peer.remoteAuth.method === "certificate";
}

/** Extensions that both sides announce in IKE_SA_INIT. */
export function announcements(peers: readonly PeerConfig[]): Payload[] {
  const out: Payload[] = [];
  if (peers.some((p) => p.fragmentation)) out.push(notification("IKEV2_FRAGMENTATION_SUPPORTED"));
  if (peers.some(usesCertificates)) out.push(NOTIFY_DATA.SIGNATURE_HASH_ALGORITHMS.build(OFFERED_HASHES));
  return out;
}

/** Begins IKE_SA_INIT with a peer; `wanted` are the CHILD SAs to make, the first of them in IKE_AUTH. */
export function connect(turn: Turn, state: PeerState, wanted: readonly Task[]): void {
  const peer = state.config;
  const [endpoint, address] = [peer.remote.endpoint, peer.local.address];
  const group = peer.proposals[0]?.dh[0];
  if (!endpoint || !address || !group) return;
  const sa = newSa(turn, {
    initiator: true,
    peer,
    spiI: turn.core.newSpi(),
    spiR: 0n,
    local: { address, port: peer.local.port },
    remote: endpoint,
    forced: peer.forceEncapsulation,
  });
  sa.handshake = {
    candidates: [peer],
    ni: turn.core.rng.bytes(NONCE_BYTES),
    nr: NOTHING,
    sent: NOTHING,
    received: NOTHING,
    pair: undefined,
    refusals: 0,
    cookie: undefined,
    peerHashes: undefined,
    wanted,
    offer: undefined,
    halfOpenKey: undefined,
  };
  turn.add(sa);
  beginInit(turn, sa, group);
}

function beginInit(turn: Turn, sa: IkeSa, group: DhGroup): void {
  sa.asking = { task: { kind: "init" }, mid: 0, datagrams: [], tries: 0, resendAt: 0, answered: false };
  turn.crypto(sa, "asking", { kind: "dh-generate", group }, { go: "init-offer", group });
}

/** The key pair is there: IKE_SA_INIT goes out. */
export function initOffer(turn: Turn, sa: IkeSa, outcome: Outcome): void {
  if (!outcome.ok) return connectFailed(turn, sa, errorOf(turn, "IKE_SA_INIT", outcome.failure));
  const { pair } = outcome.crypto as CryptoResults["dh-generate"];
  sa.handshake = { ...handshakeOf(sa), pair };
  sendInit(turn, sa);
}

export function handshakeOf(sa: IkeSa): Handshake {
  return sa.handshake as Handshake;
}

function sendInit(turn: Turn, sa: IkeSa): void {
  const h = handshakeOf(sa);
  if (!h.pair || !sa.peer) return;
  const cookie: Payload[] = h.cookie ? [NOTIFY_DATA.COOKIE.build(h.cookie)] : [];
  ask(turn, sa, [
    ...cookie,
    { kind: "SA", proposals: ikeProposals(sa.peer.proposals) },
    { kind: "KE", group: DH[h.pair.group].transformId, data: h.pair.publicValue },
    { kind: "Nonce", data: h.ni },
    ...natNotifies(turn, sa, 0n),
    ...announcements([sa.peer]),
  ]);
  sa.handshake = { ...h, sent: sa.asking?.datagrams[0] ?? NOTHING };
}

/**
 * An IKE_SA_INIT response. Nobody has signed it, so what is malformed or does not fit is dropped and the right one awaited
 * (RFC 7296 §2.21.1); a refusal is taken at its word.
 */
export function initAnswered(turn: Turn, sa: IkeSa, datagram: Uint8Array): void {
  const asking = sa.asking;
  if (asking?.task.kind !== "init" || asking.answered || asking.datagrams.length === 0)
    return turn.count("stale-response");
  const message = decodeMessage(Uint8Array.from(datagram));
  checkPlacement({ header: message.header, clear: message.payloads, inner: message.encrypted ? [] : undefined });
  const payloads = message.payloads;
  const h = handshakeOf(sa);
  const cookie = notifyIn(payloads, "COOKIE");
  if (cookie) {
    if (h.refusals >= MAX_REFUSALS) return turn.count("refusal-loop");
    sa.handshake = { ...h, cookie: NOTIFY_DATA.COOKIE.read(cookie), refusals: h.refusals + 1 };
    return sendInit(turn, sa);
  }
  const error = errorIn(payloads);
  if (error?.type === NOTIFY.INVALID_KE_PAYLOAD)
    return otherGroup(turn, sa, NOTIFY_DATA.INVALID_KE_PAYLOAD.read(error));
  if (error) {
    const ours = proposalsText(ikeProposals(sa.peer?.proposals ?? []));
    return connectFailed(turn, sa, refusedBy(turn, "IKE_SA_INIT", error.type, ours));
  }
  accept(turn, sa, message);
}

/** RFC 7296 §1.2: the responder names the group it wants. */
function otherGroup(turn: Turn, sa: IkeSa, id: number): void {
  const h = handshakeOf(sa);
  const group = dhGroupOf(id);
  const offered = sa.peer?.proposals.some((p) => group !== undefined && p.dh.includes(group));
  if (!group || !offered || group === h.pair?.group || h.refusals >= MAX_REFUSALS) {
    const ours = proposalsText(ikeProposals(sa.peer?.proposals ?? []));
    const error = refusedBy(turn, "IKE_SA_INIT", NOTIFY.INVALID_KE_PAYLOAD, ours);
    return connectFailed(turn, sa, { ...error, theirs: `group ${group ?? id}` });
  }
  sa.handshake = { ...h, refusals: h.refusals + 1 };
  beginInit(turn, sa, group);
}

function accept(turn: Turn, sa: IkeSa, message: Message): void {
  const h = handshakeOf(sa);
  const payloads = message.payloads;
  const ours = ikeProposals(sa.peer?.proposals ?? []);
  const answer = must(payloads, "SA").proposals;
  const ke = must(payloads, "KE");
  const chosen = answer[0];
  const suite = chosen && answer.length === 1 && isAnswerTo(ours, chosen) ? ikeSuite(chosen) : undefined;
  const spiR = message.header.responderSpi;
  if (!suite || !h.pair || spiR === 0n || DH[suite.group].transformId !== ke.group || suite.group !== h.pair.group) {
    return turn.count("unfit-response");
  }
  const nr = must(payloads, "Nonce").data;
  sa.spiR = spiR;
  sa.nat = { ...sa.nat, ...detectNat(sa, spiR, payloads) };
  sa.fragments = notifyIn(payloads, "IKEV2_FRAGMENTATION_SUPPORTED") !== undefined;
  const hashes = notifyIn(payloads, "SIGNATURE_HASH_ALGORITHMS");
  sa.handshake = {
    ...h,
    nr,
    received: message.bytes,
    peerHashes: hashes && NOTIFY_DATA.SIGNATURE_HASH_ALGORITHMS.read(hashes),
  };
  if (sa.asking) sa.asking = { ...sa.asking, answered: true };
  const job = { kind: "dh-compute", pair: h.pair, peerValue: ke.data } as const;
  turn.crypto(sa, "asking", job, { go: "init-keys", suite });
}

/** g^ir is there: keys, the port of NAT traversal when one is needed, and IKE_AUTH (RFC 7296 §2.23). */
export function initKeys(turn: Turn, sa: IkeSa, suite: IkeSuite, outcome: Outcome): void {
  if (!outcome.ok) return connectFailed(turn, sa, errorOf(turn, "IKE_SA_INIT", outcome.failure));
  const { shared } = outcome.crypto as CryptoResults["dh-compute"];
  setKeys(sa, suite, shared);
  sa.phase = "auth";
  sa.nextOurs = 1;
  if (sa.nat.local || sa.nat.remote || sa.nat.forced) {
    const port = turn.core.config.natPort;
    sa.local = { address: sa.local.address, port };
    sa.remote = { address: sa.remote.address, port };
  }
  startAuth(turn, sa);
}

export function setKeys(sa: IkeSa, suite: IkeSuite, shared: Uint8Array): void {
  const { ni, nr } = handshakeOf(sa);
  sa.suite = suite;
  sa.keys = deriveIkeKeys({ suite, sharedSecret: shared, ni, nr, initiatorSpi: sa.spiI, responderSpi: sa.spiR });
  sa.protector = protector(suite, sa.keys, sa.initiator);
  sa.lowestNonce = lower(ni, nr);
}
