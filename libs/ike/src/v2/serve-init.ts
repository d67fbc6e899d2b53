import { type Endpoint, isFault } from "@sallyport/base";
import type { CryptoResults } from "../api.js";
import type { PeerConfig } from "../config.js";
import { DH, ikeSuite } from "../crypto/index.js";
import type { IkeSuite } from "../crypto/types.js";
import type { LastError } from "../status.js";
import {
  checkPlacement,
  decodeMessage,
  EXCHANGE,
  type HeaderPeek,
  NOTIFY_DATA,
  notification,
  peekCookie,
  proposalsText,
} from "../wire/index.js";
import type { Header, Message, NotifyPayload, Payload, Proposal } from "../wire/types.js";
import { blame, refusedStranger } from "./failures.js";
import { notifyOf } from "./faults.js";
import {
  announcements,
  certificateRequests,
  handshakeOf,
  NONCE_BYTES,
  setKeys,
  takesRounds,
  UNPROVEN,
} from "./handshake.js";
import { answerStranger, clearResponse, must, notifyIn } from "./message.js";
import { detectNat, natNotifies } from "./nat.js";
import { newSa } from "./new-sa.js";
import { choose, ikeProposals } from "./proposals.js";
import type { IkeSa, Outcome } from "./sa.js";
import { initKey } from "./table.js";
import type { Turn } from "./turn.js";

const NO_SPI = new Uint8Array(0);

interface From {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly datagram: Uint8Array;
}

/** IKE_SA_INIT of a stranger: cheap checks first, memory only for who has shown to receive at his address when there are many. */
export function serveInit(turn: Turn, from: From, peek: HeaderPeek): void {
  const { core } = turn;
  if (core.stopped || peek.messageId !== 0 || peek.responderSpi !== 0n || !peek.initiator) {
    turn.count("bad-init");
    return;
  }
  const known = core.table.byInit(peek.initiatorSpi, from.remote);
  if (known !== undefined && !startsOver(turn, known, from, peek)) {
    again(turn, known, from);
    return;
  }
  const { limits } = core.config;
  if (core.table.halfOpen >= limits.halfOpen) {
    turn.count("half-open-limit");
    return;
  }
  if (!passesCookie(turn, from, peek)) return;
  if (core.table.halfOpenOf(from.remote.address.toString()) >= limits.halfOpenPerSource) {
    turn.count("half-open-limit-per-source");
    return;
  }
  const message = judge(turn, from, peek);
  if (!message) return;
  const candidates = core.index.candidates(from.local, from.remote);
  const picked = pick(candidates, message.payloads);
  if (!picked) {
    noProposal(turn, from, message, candidates);
    return;
  }
  const ke = must(message.payloads, "KE");
  if (ke.group !== DH[picked.suite.group].transformId) {
    turn.count("invalid-ke");
    refuse(turn, from, message.header, NOTIFY_DATA.INVALID_KE_PAYLOAD.build(DH[picked.suite.group].transformId));
    return;
  }
  open(turn, from, message, { ...picked, peerValue: ke.data });
}

function isFirst(first: Uint8Array, { datagram }: From): boolean {
  return first.length === datagram.length && first.every((b, i) => b === datagram[i]);
}

/**
 * An initiator that was asked for a cookie goes on with the request that has it (RFC 7296 §2.6), though an earlier one, without, may
 * have come again and been taken meanwhile: that one is left to its time. Only a good cookie says so, and only once.
 */
function startsOver(turn: Turn, serial: number, from: From, { initiatorSpi }: HeaderPeek): boolean {
  const { cookies } = turn.core;
  const sa = turn.edit(serial);
  if (!sa?.handshake || sa.serving || sa.nextTheirs > 1 || isFirst(sa.handshake.received, from)) return false;
  const [now, before] = [peekCookie(from.datagram), peekCookie(sa.handshake.received)];
  if (!now?.cookie || before?.cookie) return false;
  if (!cookies.check(turn.now, now.cookie, now.nonce, from.remote.address, initiatorSpi)) return false;
  turn.count("init-started-over");
  sa.handshake = { ...sa.handshake, halfOpenKey: undefined };
  return true;
}

/** A retransmission gets the same answer, unless the request differs from the first. */
function again(turn: Turn, serial: number, from: From): void {
  const sa = turn.edit(serial);
  const response = sa?.responses.find((r) => r.mid === 0);
  if (!sa?.handshake || !response) {
    turn.count("init-in-progress");
    return;
  }
  if (!isFirst(sa.handshake.received, from)) {
    turn.count("bad-init");
    return;
  }
  turn.count("retransmission-answered");
  turn.send(sa, response.datagrams, from.remote, from.local);
}

function judge(turn: Turn, from: From, peek: HeaderPeek): Message | undefined {
  try {
    const message = decodeMessage(new Uint8Array(from.datagram));
    checkPlacement({ header: message.header, clear: message.payloads, inner: message.encrypted ? [] : undefined });
    return message;
  } catch (error) {
    if (!isFault(error)) throw error;
    turn.count("malformed-init");
    const name = notifyOf(error);
    const data = name === "UNSUPPORTED_CRITICAL_PAYLOAD" ? new Uint8Array([Number(error.value) & 0xff]) : undefined;
    answerStranger(turn, from, clearResponse(peek, [notification(name, data)]));
    return undefined;
  }
}

/** Before anything is decoded: in a flood nearly every request ends here. */
function passesCookie(turn: Turn, from: From, peek: HeaderPeek): boolean {
  const { core } = turn;
  const demanded = core.demandsCookies();
  if (demanded !== core.underLoad) {
    core.underLoad = demanded;
    turn.emit({ event: "under-load", peer: undefined, at: turn.now, halfOpen: core.table.halfOpen, cookies: demanded });
  }
  if (!demanded) return true;
  const { address } = from.remote;
  const { initiatorSpi } = peek;
  const found = peekCookie(from.datagram);
  if (!found) {
    turn.count("malformed-init");
    return false;
  }
  const { nonce, cookie } = found;
  if (cookie && core.cookies.check(turn.now, cookie, nonce, address, initiatorSpi)) return true;
  turn.count("cookie-demanded");
  refuse(turn, from, peek, NOTIFY_DATA.COOKIE.build(core.cookies.make(turn.now, nonce, address, initiatorSpi)));
  return false;
}

interface Picked {
  readonly candidates: readonly PeerConfig[];
  readonly chosen: Proposal;
  readonly suite: IkeSuite;
}

/** The best candidate with a matching proposal decides; the others stay candidates when they allow that proposal too. */
function pick(candidates: readonly PeerConfig[], payloads: readonly Payload[]): Picked | undefined {
  const theirs = must(payloads, "SA").proposals.filter((p) => p.spi.length === 0);
  const group = must(payloads, "KE").group;
  for (const [i, peer] of candidates.entries()) {
    const chosen = choose(ikeProposals(peer.proposals), theirs, NO_SPI, group)?.chosen;
    const suite = chosen && ikeSuite(chosen);
    if (!chosen || !suite) continue;
    const others = candidates.slice(i + 1).filter((p) => choose(ikeProposals(p.proposals), [chosen], NO_SPI));
    return { candidates: [peer, ...others], chosen, suite };
  }
  return undefined;
}

function noProposal(turn: Turn, from: From, message: Message, candidates: readonly PeerConfig[]): void {
  if (turn.core.config.undecided?.some((p) => p.contains(from.remote.address))) turn.count("undecided");
  else {
    turn.count("no-proposal-chosen");
    refuse(turn, from, message.header, notification("NO_PROPOSAL_CHOSEN"));
  }
  if (candidates.length === 0 || !turn.core.mayAnswerStranger(turn.now)) return;
  const theirs = proposalsText(must(message.payloads, "SA").proposals);
  const errorOf = (peers: readonly PeerConfig[]): LastError => ({
    code: "ike/no-proposal-chosen",
    message: "no proposal of the peer is acceptable",
    ours: [...new Set(peers.map((p) => proposalsText(ikeProposals(p.proposals))))].join(" | "),
    theirs,
    exchange: "IKE_SA_INIT",
    at: turn.now,
  });
  const { remote } = from;
  const tell = (peer: PeerConfig | undefined, error: LastError) =>
    turn.emit({ event: "negotiation-failed", peer: peer?.id, child: undefined, remote, error, at: turn.now });
  const maybe = candidates.slice(0, MAX_BLAMED);
  const [only] = maybe.length === 1 ? maybe : [];
  const error = errorOf(maybe);
  const caller = { remote, named: false };
  refusedStranger(turn, only, caller, error);
  const blamed = only ? [] : maybe.filter((p) => blame(turn, p, caller, errorOf([p])));
  for (const peer of blamed) tell(peer, errorOf([peer]));
  if (blamed.length === 0) tell(only, error);
}

/** Of so many peers that the same caller may be, its failure is told. */
const MAX_BLAMED = 16;

/** Without state, and never longer than the request (hostile input 22). */
function refuse(turn: Turn, from: From, to: HeaderPeek | Header, notify: NotifyPayload): void {
  const datagram = clearResponse(to, [notify]);
  if (datagram.length > from.datagram.length) {
    turn.count("answer-too-long");
    return;
  }
  turn.effects.push({ do: "send", local: from.local, remote: from.remote, datagram });
}

function open(turn: Turn, from: From, message: Message, with_: Picked & { readonly peerValue: Uint8Array }): void {
  const { candidates, chosen, suite } = with_;
  const sa = newSa(turn, {
    initiator: false,
    peer: candidates.length === 1 ? candidates[0] : undefined,
    spiI: message.header.initiatorSpi,
    spiR: turn.core.newSpi(),
    local: from.local,
    remote: from.remote,
    forced: candidates.some((p) => p.forceEncapsulation),
  });
  const hashes = notifyIn(message.payloads, "SIGNATURE_HASH_ALGORITHMS");
  sa.handshake = {
    candidates,
    ni: must(message.payloads, "Nonce").data,
    nr: turn.core.rng.bytes(NONCE_BYTES),
    sent: NO_SPI,
    received: message.bytes,
    pair: undefined,
    refusals: 0,
    cookie: undefined,
    peerHashes: hashes && NOTIFY_DATA.SIGNATURE_HASH_ALGORITHMS.read(hashes),
    proving: {
      ...UNPROVEN,
      ppk: notifyIn(message.payloads, "USE_PPK") && candidates.some((p) => p.ppk) ? "offered" : "none",
    },
    wanted: [],
    halfOpenKey: initKey(sa.spiI, from.remote),
  };
  sa.nat = { ...sa.nat, ...detectNat(sa, 0n, message.payloads) };
  sa.fragments = notifyIn(message.payloads, "IKEV2_FRAGMENTATION_SUPPORTED") !== undefined;
  sa.dropAt = turn.now + turn.core.config.limits.halfOpenSeconds * 1000;
  turn.add(sa);
  turn.trace(sa, "in", message.header, message.payloads);
  const job = { kind: "dh-respond", group: suite.group, peerValue: with_.peerValue } as const;
  turn.serveCrypto(sa, job, { go: "init-answer", suite, chosen });
}

/** g^ir is there: keys and the IKE_SA_INIT response. */
export function initAnswer(turn: Turn, sa: IkeSa, suite: IkeSuite, chosen: Proposal, outcome: Outcome): void {
  if (!outcome.ok) {
    turn.count("bad-key-exchange");
    turn.drop(sa);
    return;
  }
  const { publicValue, shared } = outcome.crypto as CryptoResults["dh-respond"];
  setKeys(sa, suite, shared);
  turn.wipe(shared);
  const h = handshakeOf(sa);
  const payloads: Payload[] = [
    { kind: "SA", proposals: [chosen] },
    { kind: "KE", group: DH[suite.group].transformId, data: publicValue },
    { kind: "Nonce", data: h.nr },
    ...natNotifies(turn, sa, sa.spiR),
    ...announcements(h.candidates),
    ...(h.proving.ppk === "offered" ? [notification("USE_PPK")] : []),
    ...takesRounds(h.candidates),
    ...certificateRequests(h.candidates),
  ];
  const header = { initiatorSpi: sa.spiI, responderSpi: sa.spiR, exchange: EXCHANGE.IKE_SA_INIT, messageId: 0 };
  const sent = clearResponse(header, payloads);
  turn.trace(sa, "out", { ...header, initiator: false, response: true }, payloads);
  sa.handshake = { ...h, sent };
  sa.phase = "auth";
  sa.nextTheirs = 1;
  sa.responses = [{ mid: 0, datagrams: [sent] }];
  turn.send(sa, [sent]);
}
