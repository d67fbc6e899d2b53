import { timingSafeEqual } from "node:crypto";
import { type Endpoint, endpointText, Prefix } from "@sallyport/base";
import { NOTIFY, NOTIFY_DATA, nameOf, notification } from "../wire/index.js";
import type { NotifyPayload, Payload } from "../wire/types.js";
import { errorOf } from "./failures.js";
import { fault } from "./faults.js";
import { closeSa } from "./lifecycle.js";
import { ask, errorIn, notifyIn } from "./message.js";
import { confirmMove, isOn, resendNow, standing } from "./moves.js";
import { detectNat, detectsNat, natNotifies } from "./nat.js";
import { sameEndpoint } from "./paths.js";
import { enqueue, enqueueFirst, finish } from "./queue.js";
import { addressesTold, lookAgain, tryNextPath } from "./roaming.js";
import type { Asking, From, IkeSa } from "./sa.js";
import type { Turn } from "./turn.js";

const COOKIE2_BYTES = 16;
const MAX_ADDRESSES = 16;

/** What stands in IKE_AUTH besides the SA payload (RFC 4555 §3.1, §3.4); a responder answers only who has begun. */
export function announceMobike(turn: Turn, sa: IkeSa): Payload[] {
  if (!sa.peer?.mobike.enabled) return [];
  if (sa.initiator) return [notification("MOBIKE_SUPPORTED"), ...natGuard(sa)];
  return sa.mobike ? [notification("MOBIKE_SUPPORTED"), ...addressesTold(turn, sa)] : [];
}

/** Takes what the peer has announced in IKE_AUTH. Fault `ike/unexpected-nat` (§3.9). */
export function agreeMobike(turn: Turn, sa: IkeSa, payloads: readonly Payload[]): void {
  if (!sa.peer?.mobike.enabled || !notifyIn(payloads, "MOBIKE_SUPPORTED")) return;
  checkNatGuard(payloads, sa);
  sa.mobike = {
    decides: sa.initiator,
    theirs: addressesIn(payloads) ?? [],
    paths: [],
    refused: [],
    told: undefined,
    before: undefined,
  };
  // Only against an earlier view of the peer's does a later one tell of a new mapping (§3.8).
  if (sa.initiator && sa.nat.local) enqueue(turn, sa, { kind: "probe" });
}

/** RFC 4555 §3.9: without NAT traversal, what may change addresses names those that it left from and for. */
function natGuard(sa: IkeSa): NotifyPayload[] {
  if (!(sa.mobike?.decides ?? sa.initiator) || !sa.peer?.mobike.forbidNat) return [];
  return [NOTIFY_DATA.NO_NATS_ALLOWED.build({ source: sa.local, destination: sa.remote })];
}

function checkNatGuard(payloads: readonly Payload[], from: From): void {
  const guard = notifyIn(payloads, "NO_NATS_ALLOWED");
  if (!guard) return;
  const { source, destination } = NOTIFY_DATA.NO_NATS_ALLOWED.read(guard);
  if (sameEndpoint(source, from.remote) && sameEndpoint(destination, from.local)) return;
  const way = (a: Endpoint, b: Endpoint) => `${endpointText(a)} to ${endpointText(b)}`;
  throw fault("ike/unexpected-nat", "a NAT has changed the addresses of a message that forbids it", {
    facts: { ours: way(from.remote, from.local), theirs: way(source, destination) },
  });
}

/** The peer's further addresses; undefined when the message says nothing about them (§3.6). */
function addressesIn(payloads: readonly Payload[]) {
  const out = [];
  let told = false;
  for (const p of payloads) {
    if (p.kind !== "N") continue;
    if (p.type === NOTIFY.NO_ADDITIONAL_ADDRESSES) told = true;
    const codec = CODECS[p.type];
    if (!codec) continue;
    told = true;
    if (out.length < MAX_ADDRESSES) out.push(codec.read(p));
  }
  return told ? out : undefined;
}

const CODECS: Readonly<Record<number, typeof NOTIFY_DATA.ADDITIONAL_IP4_ADDRESS>> = {
  [NOTIFY.ADDITIONAL_IP4_ADDRESS]: NOTIFY_DATA.ADDITIONAL_IP4_ADDRESS,
  [NOTIFY.ADDITIONAL_IP6_ADDRESS]: NOTIFY_DATA.ADDITIONAL_IP6_ADDRESS,
};

/** The MOBIKE part of an INFORMATIONAL request that came as `from` says; gives what stands in the answer. Fault `ike/unexpected-nat`. */
export function serveMobike(turn: Turn, sa: IkeSa, payloads: readonly Payload[], from: From): Payload[] {
  if (!sa.mobike) return [];
  checkNatGuard(payloads, from);
  const cookie = notifyIn(payloads, "COOKIE2");
  const answer: Payload[] = cookie ? [NOTIFY_DATA.COOKIE2.build(NOTIFY_DATA.COOKIE2.read(cookie))] : [];
  const theirs = addressesIn(payloads);
  if (theirs) {
    sa.mobike = { ...sa.mobike, theirs };
    const known = [from.remote.address, ...theirs];
    if (sa.mobike.decides && !known.some((a) => a.equals(sa.remote.address))) lookAgain(turn, sa, from.remote.address);
  }
  if (notifyIn(payloads, "UPDATE_SA_ADDRESSES") && !sa.mobike.decides) {
    const { acceptFrom } = sa.peer?.mobike ?? { acceptFrom: [] };
    if (acceptFrom.length > 0 && !acceptFrom.some((p: Prefix) => p.contains(from.remote.address))) {
      turn.count("move-refused");
      return [...answer, notification("UNACCEPTABLE_ADDRESSES")];
    }
    follow(turn, sa, payloads, from);
  }
  if (detectsNat(payloads)) answer.push(...natNotifies(turn, sa, sa.spiR, from));
  return answer;
}

/** The peer has moved here (§3.5). */
function follow(turn: Turn, sa: IkeSa, payloads: readonly Payload[], from: From): void {
  if (!sa.mobike) return;
  const moved = !isOn(sa, from);
  sa.mobike = { ...sa.mobike, before: standing(sa) };
  sa.local = from.local;
  sa.remote = from.remote;
  sa.nat = { ...sa.nat, ...detectNat(sa, sa.spiR, payloads) };
  if (moved) resendNow(turn, sa);
  if (moved && sa.peer?.mobike.checkRoutability) enqueueFirst(turn, sa, { kind: "check-route" });
  else confirmMove(turn, sa);
}

/** Begins an exchange of MOBIKE: UPDATE_SA_ADDRESSES (§3.5), the list of addresses (§3.6), or the question whether the peer is there (§3.7). */
export function beginMobike(turn: Turn, sa: IkeSa, asking: Asking): boolean {
  if (!sa.mobike) return false;
  const { kind } = asking.task;
  if (kind === "tell-addresses") {
    const list = addressesTold(turn, sa);
    ask(turn, sa, asking, [...(list.length > 0 ? list : [notification("NO_ADDITIONAL_ADDRESSES")]), ...natGuard(sa)]);
    return true;
  }
  const cookie = turn.core.rng.bytes(COOKIE2_BYTES);
  const update = kind === "update-addresses";
  const payloads: Payload[] = [
    ...(update ? [notification("UPDATE_SA_ADDRESSES")] : []),
    // With the question too (§3.8): libreswan returns a COOKIE2 only beside them.
    ...(sa.peer?.mobike.forbidNat ? [] : natNotifies(turn, sa, sa.spiR)),
    ...(update ? natGuard(sa) : []),
    NOTIFY_DATA.COOKIE2.build(cookie),
  ];
  const sent = { local: sa.local, remote: sa.remote, cookie };
  ask(turn, sa, asking, payloads, { sent });
  return true;
}

export function mobikeAnswered(turn: Turn, sa: IkeSa, asking: Asking, payloads: readonly Payload[]): void {
  finish(sa, asking);
  const { sent, task } = asking;
  if (!sent || !sa.mobike) {
    settleAway(turn, sa);
    return;
  }
  const echoed = notifyIn(payloads, "COOKIE2")?.data;
  const error = errorIn(payloads);
  if (error) {
    refused(turn, sa, error);
    return;
  }
  if (echoed?.length !== sent.cookie.length || !timingSafeEqual(echoed, sent.cookie)) {
    turn.count("routability-cookie");
    closeSa(turn, sa, "failed");
    return;
  }
  if (!isOn(sa, sent)) {
    // The move went on meanwhile: only what is sent from here proves that here is right (§3.5).
    enqueueFirst(turn, sa, task);
    return;
  }
  if (task.kind === "update-addresses") {
    if (detectsNat(payloads)) sa.nat = { ...sa.nat, ...detectNat(sa, sa.spiR, payloads) };
    sa.mobike = { ...sa.mobike, refused: [], seenAs: seenAs(payloads) };
  }
  confirmMove(turn, sa);
}

/** Our former address is gone, and the peer answers at the new one: nothing can hold CHILD SAs where they are, update or not. */
function settleAway(turn: Turn, sa: IkeSa): void {
  const before = sa.mobike?.before;
  if (before && !turn.core.addresses.some((a) => a.equals(before.local.address))) confirmMove(turn, sa);
}

/** The peer does not want us there: another way, or back to where we were. */
function refused(turn: Turn, sa: IkeSa, { type }: NotifyPayload): void {
  const code = type === NOTIFY.UNEXPECTED_NAT_DETECTED ? "ike/unexpected-nat" : "ike/unacceptable-addresses";
  const cause = fault(code, "the peer refuses this end's new address", {
    facts: { ours: sa.local.address.toString(), theirs: nameOf(NOTIFY, type) },
  });
  const error = errorOf(turn, "INFORMATIONAL", cause);
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
  tryNextPath(turn, sa);
}

/** Our address as the peer sees it, hashed: another one than before is another mapping of a NAT (§3.8). */
function seenAs(payloads: readonly Payload[]): Uint8Array | undefined {
  return notifyIn(payloads, "NAT_DETECTION_DESTINATION_IP")?.data;
}

/** What a liveness check of an initiator behind a NAT carries, so that it learns of a new mapping (§3.8). */
export function mappingProbe(turn: Turn, sa: IkeSa): Payload[] {
  return sa.mobike?.decides && sa.nat.local ? natNotifies(turn, sa, sa.spiR) : [];
}

export function mappingProbed(turn: Turn, sa: IkeSa, payloads: readonly Payload[]): void {
  const now = seenAs(payloads);
  if (!sa.mobike || !now) return;
  const before = sa.mobike.seenAs;
  sa.mobike = { ...sa.mobike, seenAs: now };
  if (before && !timingSafeEqual(before, now)) enqueueFirst(turn, sa, { kind: "update-addresses" });
}
