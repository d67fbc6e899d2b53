import type { CryptoResults } from "../api.js";
import { DH, deriveRekeyedIkeKeys, dhGroupOf, ikeSuite, lastingKeys, protector } from "../crypto/index.js";
import type { IkeSuite } from "../crypto/types.js";
import { NOTIFY, NOTIFY_DATA, proposalsText } from "../wire/index.js";
import type { Payload, Proposal } from "../wire/types.js";
import { hardAt, softAt } from "./child.js";
import { errorOf, refusedBy } from "./failures.js";
import { fault } from "./faults.js";
import { NONCE_BYTES } from "./handshake.js";
import { inherit } from "./lifecycle.js";
import { ask, errorIn, must, respond, spi64, spi64Bytes } from "./message.js";
import { isLower, lower, newSa } from "./new-sa.js";
import { choose, ikeProposals, isAnswerTo } from "./proposals.js";
import { abandon, again, enqueueFirst, finish, postpone } from "./queue.js";
import { followRekey } from "./reauth.js";
import { ikeStatus } from "./report.js";
import type { Asking, IkeOffer, IkeSa, Outcome } from "./sa.js";
import type { TaskKind } from "./task.js";
import type { Turn } from "./turn.js";
import { isCrowded, retire, supersede } from "./unique.js";

const PAUSE_MS = 2_000;
const RETRY_MS = 30_000;
const MAX_GROUP_CHANGES = 4;

/** Begins the rekey of the IKE SA (RFC 7296 §1.3.2); false when it is no time for it. */
export function beginRekey(turn: Turn, sa: IkeSa, asking: Asking): boolean {
  const groups = sa.peer?.proposals.flatMap((p) => p.dh) ?? [];
  const current = sa.suite?.group;
  const wanted = asking.task.kind === "rekey-ike" ? asking.task.group : undefined;
  const group = wanted ?? (current && groups.includes(current) ? current : groups[0]);
  if (sa.phase !== "established" || !group) return false;
  if (contested(turn, sa)) {
    if (sa.rekeyAt === undefined && sa.expireAt !== undefined) sa.rekeyAt = turn.now + RETRY_MS;
    return false;
  }
  sa.rekeyAt = undefined;
  turn.crypto(sa, asking, { kind: "dh-generate", group }, { go: "ike-offer-dh" });
  return true;
}

export function rekeyOffer(turn: Turn, sa: IkeSa, asking: Asking, outcome: Outcome): void {
  if (!outcome.ok || !sa.peer) {
    rekeyFailed(turn, sa, asking, errorOf(turn, "CREATE_CHILD_SA", outcomeFailure(outcome)));
    return;
  }
  const { pair } = outcome.crypto as CryptoResults["dh-generate"];
  const offer: IkeOffer = { spi: turn.core.newSpi(), nonce: turn.core.rng.bytes(NONCE_BYTES), pair };
  ask(
    turn,
    sa,
    asking,
    [
      { kind: "SA", proposals: ikeProposals(sa.peer.proposals, spi64Bytes(offer.spi)) },
      { kind: "Nonce", data: offer.nonce },
      { kind: "KE", group: DH[pair.group].transformId, data: pair.publicValue },
    ],
    { ike: offer },
  );
}

function outcomeFailure(outcome: Outcome) {
  return outcome.ok ? { code: "ike/not-configured", message: "the peer was removed" } : outcome.failure;
}

export function rekeyAnswered(turn: Turn, sa: IkeSa, asking: Asking, payloads: readonly Payload[]): void {
  const offer = asking.ike;
  if (!offer || !sa.peer) {
    finish(sa, asking);
    return;
  }
  const ours = ikeProposals(sa.peer.proposals, spi64Bytes(offer.spi));
  const error = errorIn(payloads);
  if (error?.type === NOTIFY.INVALID_KE_PAYLOAD) {
    otherGroup(turn, sa, asking, offer, NOTIFY_DATA.INVALID_KE_PAYLOAD.read(error));
    return;
  }
  if (error?.type === NOTIFY.TEMPORARY_FAILURE) {
    if (settleForRival(turn, sa, asking)) return;
    postpone(turn, sa, asking, PAUSE_MS * (0.5 + turn.core.fraction()));
    return;
  }
  if (error) {
    rekeyFailed(turn, sa, asking, refusedBy(turn, "CREATE_CHILD_SA", error.type, proposalsText(ours)));
    return;
  }
  const answer = must(payloads, "SA").proposals;
  const chosen = answer[0];
  const ke = must(payloads, "KE");
  const spi = chosen ? spi64(chosen.spi) : 0n;
  if (
    !chosen ||
    answer.length !== 1 ||
    !isAnswerTo(ours, chosen) ||
    spi === 0n ||
    ke.group !== DH[offer.pair.group].transformId
  ) {
    const facts = { ours: proposalsText(ours), theirs: proposalsText(answer) };
    const cause = fault("ike/no-proposal-chosen", "the peer answered with a proposal that was not offered", { facts });
    rekeyFailed(turn, sa, asking, errorOf(turn, "CREATE_CHILD_SA", cause));
    return;
  }
  const nr = must(payloads, "Nonce").data;
  const job = { kind: "dh-compute", pair: offer.pair, peerValue: ke.data } as const;
  turn.crypto(sa, asking, job, { go: "ike-keys", suite: ikeSuite(chosen), spi, nr });
}

function otherGroup(turn: Turn, sa: IkeSa, asking: Asking, offer: IkeOffer, id: number): void {
  const group = dhGroupOf(id);
  const changes = asking.task.kind === "rekey-ike" ? (asking.task.groupChanges ?? 0) : MAX_GROUP_CHANGES;
  const allowed = group && sa.peer?.proposals.some((p) => p.dh.includes(group));
  if (!group || !allowed || group === offer.pair.group || changes >= MAX_GROUP_CHANGES) {
    rekeyFailed(turn, sa, asking, refusedBy(turn, "CREATE_CHILD_SA", NOTIFY.INVALID_KE_PAYLOAD));
    return;
  }
  if (settleForRival(turn, sa, asking)) return;
  again(turn, sa, asking, { kind: "rekey-ike", group, groupChanges: changes + 1 });
}

function rekeyFailed(turn: Turn, sa: IkeSa, asking: Asking, error: ReturnType<typeof errorOf>): void {
  finish(sa, asking);
  turn.emit({
    event: "negotiation-failed",
    peer: sa.peer?.id,
    child: undefined,
    remote: sa.remote,
    error,
    at: turn.now,
  });
  const state = turn.core.peers.get(sa.peer?.id ?? "");
  if (state) state.lastError = error;
  if (settleForRival(turn, sa, asking)) return;
  const left = (sa.expireAt ?? turn.now + 4 * RETRY_MS) - turn.now;
  sa.rekeyAt = turn.now + Math.max(1_000, Math.min(RETRY_MS, left / 4)) * (0.5 + turn.core.fraction());
}

/** Our rekey came to nothing, the one that the peer began meanwhile counts (RFC 7296 §2.25.2). */
function settleForRival(turn: Turn, sa: IkeSa, asking: Asking): boolean {
  const rival = sa.rivalSerial === undefined ? undefined : turn.edit(sa.rivalSerial);
  if (!rival) return false;
  finish(sa, asking);
  give(turn, sa, rival);
  return true;
}

interface Made {
  readonly suite: IkeSuite;
  readonly shared: Uint8Array;
  readonly ni: Uint8Array;
  readonly nr: Uint8Array;
  readonly spiI: bigint;
  readonly spiR: bigint;
  readonly initiator: boolean;
}

/** The IKE SA that replaces `old`: same ends, same identities, new keys and message IDs (RFC 7296 §2.18). */
function make(turn: Turn, old: IkeSa, m: Made): IkeSa {
  const { peer, keys, suite } = old;
  if (!peer || !keys || !suite) throw fault("ike/unexpected", "no IKE SA to rekey");
  const { local, remote } = old;
  const sa = newSa(turn, {
    initiator: m.initiator,
    peer,
    spiI: m.spiI,
    spiR: m.spiR,
    local,
    remote,
    forced: old.nat.forced,
  });
  sa.phase = "established";
  sa.suite = m.suite;
  sa.keys = deriveRekeyedIkeKeys({
    suite: m.suite,
    sharedSecret: m.shared,
    ni: m.ni,
    nr: m.nr,
    initiatorSpi: m.spiI,
    responderSpi: m.spiR,
    oldD: keys.d,
    oldPrf: suite.prf,
  });
  sa.protector = protector(m.suite, sa.keys, m.initiator);
  sa.keys = lastingKeys(sa.keys);
  sa.lowestNonce = new Uint8Array(lower(m.ni, m.nr));
  sa.localId = old.localId;
  sa.remoteId = old.remoteId;
  sa.subject = old.subject;
  sa.certificates = old.certificates;
  sa.user = old.user;
  sa.ppk = old.ppk;
  sa.evidence = old.evidence;
  sa.identity = old.identity;
  sa.virtual = old.virtual;
  sa.fragments = old.fragments;
  sa.authentication = old.authentication;
  sa.packetBytes = old.packetBytes;
  sa.establishedAt = turn.now;
  sa.rekeyAt = softAt(turn, peer.lifetime, turn.now);
  sa.expireAt = hardAt(peer.lifetime, turn.now);
  return turn.add(sa);
}

/** `heir` takes over; `old` is deleted by the end that made `heir`, in the end by this one. */
function give(turn: Turn, old: IkeSa, heir: IkeSa): void {
  inherit(old, heir);
  heir.local = old.local;
  heir.remote = old.remote;
  heir.nat = old.nat;
  heir.mobike = old.mobike && { ...old.mobike, seenAs: undefined };
  if (old.mobike?.before) enqueueFirst(turn, heir, { kind: old.mobike.decides ? "update-addresses" : "check-route" });
  followRekey(turn, old, heir);
  old.rivalSerial = undefined;
  if (heir.initiator) retire(turn, old, "replaced");
  else supersede(turn, old, false);
  if (heir.initiator && old.window.send > 1) enqueueFirst(turn, heir, { kind: "window" });
  turn.emit({ event: "ike-rekeyed", replaces: old.serial, peer: heir.peer?.id, at: turn.now, ike: ikeStatus(heir) });
}

/** What `heir`, made by the peer's rekey, replaces while our own rekey is under way and nobody knows which of both stays. */
function contested(turn: Turn, heir: IkeSa): IkeSa | undefined {
  if (heir.initiator || heir.identity === undefined) return undefined;
  for (const serial of turn.core.table.ofIdentity(heir.identity)) {
    const old = turn.look(serial);
    if (old?.phase === "established" && old.rivalSerial === heir.serial) return turn.edit(serial);
  }
  return undefined;
}

/**
 * The peer speaks on an IKE SA of its own rekey while the answer to ours is still to come: it has seen both and holds its own for the
 * one that stays (RFC 7296 §2.8.2), so the CHILD SAs are there already.
 */
export function heirSpeaks(turn: Turn, heir: IkeSa): void {
  const old = contested(turn, heir);
  if (old) give(turn, old, heir);
}

/** Our rekey is through. */
export function rekeyKeys(
  turn: Turn,
  sa: IkeSa,
  asking: Asking,
  suite: IkeSuite,
  spi: bigint,
  nr: Uint8Array,
  outcome: Outcome,
): void {
  const offer = asking.ike;
  if (!outcome.ok || !offer) {
    rekeyFailed(turn, sa, asking, errorOf(turn, "CREATE_CHILD_SA", outcomeFailure(outcome)));
    return;
  }
  const { shared } = outcome.crypto as CryptoResults["dh-compute"];
  const made = make(turn, sa, { suite, shared, ni: offer.nonce, nr, spiI: offer.spi, spiR: spi, initiator: true });
  turn.wipe(shared, offer.pair.privateKey);
  if (sa.phase !== "established") {
    finish(sa, asking);
    retire(turn, made, "replaced");
    return;
  }
  const rival = sa.rivalSerial === undefined ? undefined : turn.edit(sa.rivalSerial);
  finish(sa, asking);
  if (rival && isLower(made.lowestNonce, rival.lowestNonce)) {
    retire(turn, made, "replaced");
    give(turn, sa, rival);
    return;
  }
  // Who made it deletes it (RFC 7296 §2.8.2); some do not, and go on to use it.
  if (rival) supersede(turn, rival, false);
  give(turn, sa, made);
}

const ABOUT_CHILDREN: ReadonlySet<TaskKind> = new Set(["create-child", "rekey-child", "delete-child"]);

/** The peer rekeys the IKE SA. */
export function serveRekey(turn: Turn, sa: IkeSa, payloads: readonly Payload[]): void {
  if (sa.asking.some((a) => ABOUT_CHILDREN.has(a.task.kind))) {
    throw fault("ike/temporary-failure", "a CHILD SA is being negotiated");
  }
  if (isCrowded(turn, sa)) {
    throw fault("ike/temporary-failure", "too many IKE SAs of this identity are on their way out");
  }
  const ours = ikeProposals(sa.peer?.proposals ?? []);
  const ke = must(payloads, "KE");
  const theirs = must(payloads, "SA").proposals;
  const spiR = turn.core.newSpi();
  const match = choose(
    ours,
    theirs.filter((p) => p.spi.length === 8),
    spi64Bytes(spiR),
    ke.group,
  );
  if (!match) {
    throw fault("ike/no-proposal-chosen", "no IKE proposal of the peer is acceptable", {
      facts: { ours: proposalsText(ours), theirs: proposalsText(theirs) },
    });
  }
  const suite = ikeSuite(match.chosen);
  const group = DH[suite.group].transformId;
  if (group !== ke.group) throw fault("ike/invalid-ke", `group ${suite.group} is wanted`, { value: String(group) });
  const spi = spi64(match.offered.spi);
  if (spi === 0n) throw fault("ike/invalid-syntax", "the new SPI is zero", { value: "0", expected: "not zero" });
  const ni = must(payloads, "Nonce").data;
  const job = { kind: "dh-respond", group: suite.group, peerValue: ke.data } as const;
  turn.serveCrypto(sa, job, { go: "serve-ike-dh", suite, chosen: match.chosen, spi, ni });
}

export function serveRekeyDh(
  turn: Turn,
  sa: IkeSa,
  then: { readonly suite: IkeSuite; readonly chosen: Proposal; readonly spi: bigint; readonly ni: Uint8Array },
  outcome: Outcome,
): void {
  if (!outcome.ok) throw fault("ike/invalid-syntax", outcome.failure.message);
  const { suite, chosen, spi, ni } = then;
  const { publicValue, shared } = outcome.crypto as CryptoResults["dh-respond"];
  const nr = turn.core.rng.bytes(NONCE_BYTES);
  const made = make(turn, sa, { suite, shared, ni, nr, spiI: spi, spiR: spi64(chosen.spi), initiator: false });
  turn.wipe(shared);
  respond(turn, sa, [
    { kind: "SA", proposals: [chosen] },
    { kind: "Nonce", data: nr },
    { kind: "KE", group: DH[suite.group].transformId, data: publicValue },
  ]);
  const own = sa.asking.find((a) => a.task.kind === "rekey-ike");
  if (own?.mid !== undefined) {
    sa.rivalSerial = made.serial;
    return;
  }
  if (own) abandon(sa, own);
  give(turn, sa, made);
}
