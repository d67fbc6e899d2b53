import type { SaMode } from "@sallyport/dataplane";
import type { CryptoResults } from "../api.js";
import type { ChildConfig, PeerConfig } from "../config.js";
import { childSuite, DH } from "../crypto/index.js";
import { NOTIFY_DATA, notification, proposalsText } from "../wire/index.js";
import { EXCHANGE, nameOf, PROTOCOL, TRANSFORM } from "../wire/registry.js";
import type { NotifyPayload, Payload, Proposal } from "../wire/types.js";
import { requireAffordable } from "./affordable.js";
import { adoptChild, build, installOps, removeIn, reqidOf, undoInstall } from "./child.js";
import { allocation, isUsableSpi, tfcFor } from "./child-offer.js";
import type { Agreed, Built, Child, ChildAnswer } from "./child-sa.js";
import { resolveDuplicates, rivalRekey } from "./collisions.js";
import { errorOf } from "./failures.js";
import { fault, isFault, notifyOf } from "./faults.js";
import { childFailed } from "./lifecycle.js";
import { find, must, notifyIn, respond, spiBytes, spiNumber } from "./message.js";
import { configured, type Ends, endsOf, fit, rangesText, toRanges, toSelector } from "./narrow.js";
import { choose, espProposals } from "./proposals.js";
import type { IkeSa, Outcome } from "./sa.js";
import { serveAddresses } from "./serve-config.js";
import { leaveLost, takesOver } from "./switchover.js";
import { offerText, take } from "./templates.js";
import { refuseSecondOwner, seenThroughNat } from "./transport.js";
import type { Turn } from "./turn.js";
import { openTo } from "./users.js";

const NO_SPI = new Uint8Array(0);

/**
 * Judges a request for a CHILD SA; `first` in IKE_AUTH, where groups do not count and nonces are those of IKE_SA_INIT.
 * Faults of faults.ts name what to answer.
 */
export function judge(
  turn: Turn,
  sa: IkeSa,
  payloads: readonly Payload[],
  nonces: { readonly ni: Uint8Array; readonly nr: Uint8Array },
  first: boolean,
  rekeys: Child | undefined,
): ChildAnswer {
  const peer = sa.peer as PeerConfig;
  if (sa.children.length >= turn.core.config.limits.childrenPerSa) {
    throw fault("ike/no-additional-sas", `${sa.children.length} CHILD SAs are enough`);
  }
  const cp = first ? [] : serveAddresses(turn, sa, payloads);
  const said = {
    local: toRanges(must(payloads, "TSr").selectors),
    remote: toRanges(must(payloads, "TSi").selectors),
  };
  const want = { tunnel: said, transport: seenThroughNat(sa, said) };
  const picked = rekeys ? takenBy(sa, rekeys.config, want, endsOf(sa)) : pickChild(sa, peer, want);
  if (!picked) throw unacceptable(sa, peer, said);
  const { config, taken } = picked;
  const { local, remote } = taken;
  const mode = modeOf(config, payloads);
  const reqid = reqidOf(turn, sa, config, local, remote);
  if (mode === "transport") refuseSecondOwner(turn, sa, reqid, taken);
  const { chosen, offered, ke } = pickProposal(config, payloads, first);
  const spiOut = spiNumber(offered.spi);
  if (!isUsableSpi(spiOut)) {
    throw fault("ike/invalid-syntax", `SPI ${spiOut} is reserved`, { value: String(spiOut), expected: "256 or more" });
  }
  requireAffordable(turn, sa, { config, reqid, local, remote, spiOut });
  return {
    config,
    reqid,
    suite: childSuite(chosen),
    chosen,
    spiOut,
    mode,
    tfc: tfcFor(config, payloads),
    local,
    remote,
    ...nonces,
    peerKe: ke,
    rekeys: rekeys?.serial,
    spiIn: 0,
    cp,
  };
}

type Want = Parameters<typeof fit>[0];

/** By the mode of a child: what the peer asks for looks different through a NAT. */
type Wants = Readonly<Record<SaMode, Want>>;

interface Picked {
  readonly config: ChildConfig;
  /** What it takes of what the peer asks for. */
  readonly taken: Ends;
}

function takenBy(sa: IkeSa, config: ChildConfig, want: Wants, ends: Ends): Picked | undefined {
  const open = openTo(sa, config);
  const taken = open && take(open, want[config.mode], ends);
  return taken && { config, taken };
}

function pickChild(sa: IkeSa, peer: PeerConfig, want: Wants): Picked | undefined {
  const ends = endsOf(sa);
  const able = peer.children.flatMap((child) => takenBy(sa, child, want, ends) ?? []);
  if (able.length < 2) return able[0];
  let best: Picked | undefined;
  let score = -1;
  for (const picked of able) {
    const suits = fit(want[picked.config.mode], configured(picked.config, ends));
    if (suits > score) [best, score] = [picked, suits];
  }
  return best;
}

function unacceptable(sa: IkeSa, peer: PeerConfig, want: Want) {
  const open = peer.children.flatMap((c) => openTo(sa, c) ?? []);
  const ours = open.map((c) => offerText(c, endsOf(sa)));
  return fault("ike/ts-unacceptable", "no CHILD SA is configured for these traffic selectors", {
    facts: { ours: ours.join("; ") || "none", theirs: `${rangesText(want.local)} === ${rangesText(want.remote)}` },
  });
}

function modeOf(config: ChildConfig, payloads: readonly Payload[]): "tunnel" | "transport" {
  const asked = notifyIn(payloads, "USE_TRANSPORT_MODE") !== undefined;
  if (config.mode === "transport" && !asked) {
    const facts = { ours: "transport", theirs: "tunnel" };
    throw fault("ike/no-proposal-chosen", "the peer asks for tunnel mode", { facts });
  }
  return config.mode;
}

/** The first of our proposals that matches, with the KE that it asks for. Fault `ike/invalid-ke` names the group in `value`. */
function pickProposal(config: ChildConfig, payloads: readonly Payload[], first: boolean) {
  const ke = find(payloads, "KE");
  const ours = espProposals(config.proposals, NO_SPI, !first);
  const theirs = must(payloads, "SA").proposals.filter((p) => p.protocol === PROTOCOL.ESP && p.spi.length === 4);
  const usable = first ? theirs.map(withoutGroups) : theirs;
  const match = choose(ours, usable, NO_SPI, ke?.group);
  if (!match) {
    throw fault("ike/no-proposal-chosen", "no ESP proposal of the peer is acceptable", {
      facts: { ours: proposalsText(ours), theirs: proposalsText(must(payloads, "SA").proposals) },
    });
  }
  const group = match.chosen.transforms.find((t) => t.type === TRANSFORM.DH && t.id !== 0)?.id;
  if (group !== undefined && ke?.group !== group) {
    throw fault("ike/invalid-ke", `group ${group} is wanted`, { value: String(group) });
  }
  return { ...match, ke: group === undefined ? undefined : ke?.data };
}

function withoutGroups(p: Proposal): Proposal {
  return { ...p, transforms: p.transforms.filter((t) => t.type !== TRANSFORM.DH) };
}

/** Goes on to answer: an SPI of ours, then g^ir, then both SAs; `before` are the payloads that stand before the CHILD SA's. */
export function beginAnswer(turn: Turn, sa: IkeSa, answer: ChildAnswer, before: readonly Payload[]): void {
  turn.serveDataplane(sa, allocation(sa, answer.config, answer.reqid), { go: "serve-child-spi", answer, before });
}

export function answerSpi(
  turn: Turn,
  sa: IkeSa,
  partial: ChildAnswer,
  before: readonly Payload[],
  outcome: Outcome,
): void {
  const spiIn = outcome.ok ? Number(outcome.values?.[0]) : 0;
  if (!outcome.ok || !isUsableSpi(spiIn)) {
    refuseChild(turn, sa, partial, before, outcome);
    return;
  }
  const answer = { ...partial, spiIn };
  const { group } = answer.suite;
  if (group === undefined || !answer.peerKe) {
    install(turn, sa, answer, before, undefined);
    return;
  }
  const job = { kind: "dh-respond", group, peerValue: answer.peerKe } as const;
  turn.serveCrypto(sa, job, { go: "serve-child-dh", answer, before });
}

export function answerDh(
  turn: Turn,
  sa: IkeSa,
  answer: ChildAnswer,
  before: readonly Payload[],
  outcome: Outcome,
): void {
  if (!outcome.ok) {
    turn.apply([removeIn({ spiIn: answer.spiIn, path: sa })]);
    refuseChild(turn, sa, answer, before, outcome);
    return;
  }
  install(turn, sa, answer, before, outcome.crypto as CryptoResults["dh-respond"]);
}

function install(
  turn: Turn,
  sa: IkeSa,
  answer: ChildAnswer,
  before: readonly Payload[],
  dh: CryptoResults["dh-respond"] | undefined,
): void {
  const agreed: Agreed = {
    ...answer,
    shared: dh?.shared,
    ours: false,
    rekeys: answer.rekeys !== undefined,
    takesOver: takesOver(turn, sa, answer),
  };
  const built = build(turn, sa, agreed);
  const ops = installOps(turn, sa, built);
  const ke = dh?.publicValue;
  turn.serveDataplane(sa, ops, { go: "serve-child-installed", answer, before, built, ke });
}

/** The inbound SA stands: the answer may go out. */
export function answerInstalled(
  turn: Turn,
  sa: IkeSa,
  answer: ChildAnswer,
  before: readonly Payload[],
  built: Built,
  ke: Uint8Array | undefined,
  outcome: Outcome,
): void {
  if (!outcome.ok) {
    undoInstall(turn, sa, built, outcome.at);
    refuseChild(turn, sa, answer, before, outcome);
    return;
  }
  const chosen = { ...answer.chosen, spi: spiBytes(answer.spiIn) };
  const { group } = answer.suite;
  const inAuth = sa.serving?.exchange === EXCHANGE.IKE_AUTH;
  respond(turn, sa, [
    ...before,
    ...answer.cp,
    ...(answer.mode === "transport" ? [notification("USE_TRANSPORT_MODE")] : []),
    { kind: "SA", proposals: [chosen] },
    ...(inAuth ? [] : [{ kind: "Nonce", data: answer.nr } as const]),
    ...(ke && group ? [{ kind: "KE", group: DH[group].transformId, data: ke } as const] : []),
    { kind: "TSi", selectors: answer.remote.map(toSelector) },
    { kind: "TSr", selectors: answer.local.map(toSelector) },
  ]);
  adoptChild(turn, sa, built.child, answer.rekeys);
  leaveLost(turn, sa, built.child);
  if (answer.rekeys !== undefined) rivalRekey(turn, sa, answer.rekeys, built.child);
  else resolveDuplicates(turn, sa, built.child);
}

/** The IKE SA stays whatever becomes of the CHILD SA (RFC 7296 §1.2, §2.21.2). */
function refuseChild(turn: Turn, sa: IkeSa, answer: ChildAnswer, before: readonly Payload[], outcome: Outcome): void {
  const failure = outcome.ok ? { code: "ike/data-plane", message: "no SPI was given" } : outcome.failure;
  childFailed(turn, sa, answer.config.id, errorOf(turn, nameOf(EXCHANGE, sa.serving?.exchange ?? 0), failure));
  const bad = failure.code === "ike/bad-key-exchange";
  respond(turn, sa, [...before, notification(bad ? "INVALID_SYNTAX" : "NO_PROPOSAL_CHOSEN")]);
}

/** The notification for a refused CHILD SA. Whatever is no refusal of ours goes on as an exception. */
export function refusal(error: unknown): NotifyPayload {
  if (!isFault(error)) throw error;
  if (error.code === "ike/invalid-ke") return NOTIFY_DATA.INVALID_KE_PAYLOAD.build(Number(error.value));
  return notification(error.code === "ike/unsuitable-proposal" ? "NO_PROPOSAL_CHOSEN" : notifyOf(error));
}
