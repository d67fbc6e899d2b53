import type { CryptoResults } from "../api.js";
import { DH, dhGroupOf, ikeSuite } from "../crypto/index.js";
import type { IkeSuite } from "../crypto/types.js";
import type { LastError } from "../status.js";
import { checkPlacement, decodeMessage, NOTIFY, NOTIFY_DATA, notification, proposalsText } from "../wire/index.js";
import type { Message, Payload } from "../wire/types.js";
import { startAuth } from "./auth.js";
import { beginInit } from "./connect.js";
import { errorOf, refusedBy } from "./failures.js";
import { announcements, handshakeOf, requestedAuthorities, setKeys } from "./handshake.js";
import { connectFailed } from "./lifecycle.js";
import { ask, errorIn, must, notifyIn } from "./message.js";
import { detectNat, detectsNat, encapsulates, natNotifies } from "./nat.js";
import { ikeProposals, isAnswerTo } from "./proposals.js";
import { change, finish } from "./queue.js";
import type { Asking, IkeSa, Outcome } from "./sa.js";
import type { Turn } from "./turn.js";

const MAX_REFUSALS = 4;
const NOTHING = new Uint8Array(0);

/** The key pair is there: IKE_SA_INIT goes out. */
export function initOffer(turn: Turn, sa: IkeSa, asking: Asking, outcome: Outcome): void {
  if (!outcome.ok) {
    connectFailed(turn, sa, errorOf(turn, "IKE_SA_INIT", outcome.failure));
    return;
  }
  const { pair } = outcome.crypto as CryptoResults["dh-generate"];
  sa.handshake = { ...handshakeOf(sa), pair };
  sendInit(turn, sa, asking);
}

function sendInit(turn: Turn, sa: IkeSa, asking: Asking): void {
  const h = handshakeOf(sa);
  if (!h.pair || !sa.peer) return;
  const cookie: Payload[] = h.cookie ? [NOTIFY_DATA.COOKIE.build(h.cookie)] : [];
  const [sent] = ask(turn, sa, asking, [
    ...cookie,
    { kind: "SA", proposals: ikeProposals(sa.peer.proposals) },
    { kind: "KE", group: DH[h.pair.group].transformId, data: h.pair.publicValue },
    { kind: "Nonce", data: h.ni },
    ...(sa.peer.mobike.forbidNat ? [] : natNotifies(turn, sa, 0n)),
    ...announcements([sa.peer]),
    ...(sa.peer.ppk ? [notification("USE_PPK")] : []),
  ]);
  sa.handshake = { ...h, sent: sent ?? NOTHING };
}

/**
 * An IKE_SA_INIT response. Nobody has signed it, so what is malformed or does not fit is dropped and the right one awaited
 * (RFC 7296 §2.21.1).
 */
export function initAnswered(turn: Turn, sa: IkeSa, datagram: Uint8Array): void {
  const asking = sa.asking.find((a) => a.mid === 0 && !a.answered);
  if (!asking) {
    turn.count("stale-response");
    return;
  }
  const message = decodeMessage(new Uint8Array(datagram));
  turn.trace(sa, "in", message.header, message.payloads);
  checkPlacement({ header: message.header, clear: message.payloads, inner: message.encrypted ? [] : undefined });
  const payloads = message.payloads;
  const h = handshakeOf(sa);
  const cookie = notifyIn(payloads, "COOKIE");
  if (cookie) {
    if (h.refusals >= MAX_REFUSALS) {
      turn.count("refusal-loop");
      return;
    }
    sa.handshake = { ...h, cookie: NOTIFY_DATA.COOKIE.read(cookie), refusals: h.refusals + 1 };
    sendInit(turn, sa, asking);
    return;
  }
  const error = errorIn(payloads);
  if (error?.type === NOTIFY.INVALID_KE_PAYLOAD) {
    otherGroup(turn, sa, NOTIFY_DATA.INVALID_KE_PAYLOAD.read(error));
    return;
  }
  if (error) {
    const ours = proposalsText(ikeProposals(sa.peer?.proposals ?? []));
    refused(turn, sa, refusedBy(turn, "IKE_SA_INIT", error.type, ours));
    return;
  }
  accept(turn, sa, asking, message);
}

/** Anybody may have written it: a better answer is awaited for a moment. */
function refused(turn: Turn, sa: IkeSa, error: LastError): void {
  sa.handshake = { ...handshakeOf(sa), refused: error };
  sa.dropAt ??= turn.now + REFUSAL_MS;
}

const REFUSAL_MS = 1_000;

/** RFC 7296 §1.2: the responder names the group it wants. */
function otherGroup(turn: Turn, sa: IkeSa, id: number): void {
  const h = handshakeOf(sa);
  const group = dhGroupOf(id);
  const offered = sa.peer?.proposals.some((p) => group !== undefined && p.dh.includes(group));
  if (!group || !offered || group === h.pair?.group || h.refusals >= MAX_REFUSALS) {
    const ours = proposalsText(ikeProposals(sa.peer?.proposals ?? []));
    const error = refusedBy(turn, "IKE_SA_INIT", NOTIFY.INVALID_KE_PAYLOAD, ours);
    refused(turn, sa, { ...error, theirs: `group ${group ?? id}` });
    return;
  }
  sa.handshake = { ...h, refusals: h.refusals + 1 };
  beginInit(turn, sa, group);
}

function accept(turn: Turn, sa: IkeSa, asking: Asking, message: Message): void {
  const h = handshakeOf(sa);
  const payloads = message.payloads;
  const ours = ikeProposals(sa.peer?.proposals ?? []);
  const answer = must(payloads, "SA").proposals;
  const ke = must(payloads, "KE");
  const chosen = answer[0];
  const suite = chosen && answer.length === 1 && isAnswerTo(ours, chosen) ? ikeSuite(chosen) : undefined;
  const spiR = message.header.responderSpi;
  if (!suite || !h.pair || spiR === 0n || DH[suite.group].transformId !== ke.group || suite.group !== h.pair.group) {
    turn.count("unfit-response");
    return;
  }
  const nr = must(payloads, "Nonce").data;
  sa.dropAt = undefined;
  sa.spiR = spiR;
  sa.nat = { ...sa.nat, ...detectNat(sa, spiR, payloads) };
  sa.fragments = notifyIn(payloads, "IKEV2_FRAGMENTATION_SUPPORTED") !== undefined;
  const hashes = notifyIn(payloads, "SIGNATURE_HASH_ALGORITHMS");
  sa.handshake = {
    ...h,
    refused: undefined,
    nr,
    received: message.bytes,
    peerHashes: hashes && NOTIFY_DATA.SIGNATURE_HASH_ALGORITHMS.read(hashes),
    proving: {
      ...h.proving,
      ppk: sa.peer?.ppk && notifyIn(payloads, "USE_PPK") ? "offered" : "none",
      multiple: notifyIn(payloads, "MULTIPLE_AUTH_SUPPORTED") !== undefined,
      authorities: requestedAuthorities(payloads),
    },
  };
  change(sa, asking, { answered: true });
  const job = { kind: "dh-compute", pair: h.pair, peerValue: ke.data } as const;
  turn.crypto(sa, asking, job, { go: "init-keys", suite, floats: floats(sa, payloads) });
}

/** Whether the rest goes over the port of NAT traversal: through a NAT, or since the path may lead through one later (RFC 4555 §3.3). */
function floats(sa: IkeSa, payloads: readonly Payload[]): boolean {
  return encapsulates(sa) || (sa.peer?.mobike.enabled === true && !sa.peer.mobike.forbidNat && detectsNat(payloads));
}

/** g^ir is there: keys, the port of NAT traversal when one is needed, and IKE_AUTH (RFC 7296 §2.23). */
export function initKeys(
  turn: Turn,
  sa: IkeSa,
  asking: Asking,
  { suite, floats }: { readonly suite: IkeSuite; readonly floats: boolean },
  outcome: Outcome,
): void {
  if (!outcome.ok) {
    connectFailed(turn, sa, errorOf(turn, "IKE_SA_INIT", outcome.failure));
    return;
  }
  const { shared } = outcome.crypto as CryptoResults["dh-compute"];
  setKeys(sa, suite, shared);
  const { pair } = handshakeOf(sa);
  turn.wipe(shared, ...(pair ? [pair.privateKey] : []));
  sa.phase = "auth";
  sa.nextOurs = 1;
  finish(sa, asking);
  if (floats) {
    const port = turn.core.config.natPort;
    sa.local = { address: sa.local.address, port };
    sa.remote = { address: sa.remote.address, port };
  }
  startAuth(turn, sa);
}
