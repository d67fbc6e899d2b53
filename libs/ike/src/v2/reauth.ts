import type { Millis } from "../api.js";
import type { PeerConfig } from "../config.js";
import { NOTIFY_DATA } from "../wire/index.js";
import type { NotifyPayload, Payload } from "../wire/types.js";
import { connect } from "./connect.js";
import type { PeerState } from "./core.js";
import { PATIENCE_MS } from "./ending.js";
import { sameValue } from "./equal.js";
import { errorOf } from "./failures.js";
import { fault } from "./faults.js";
import { notifyIn } from "./message.js";
import { enqueue, enqueueFirst } from "./queue.js";
import type { IkeSa } from "./sa.js";
import type { Task } from "./task.js";
import { authenticationDueAt } from "./timers.js";
import type { Turn } from "./turn.js";
import { retire, supersede } from "./unique.js";

/** An attempt that came to nothing is followed by another. */
const AGAIN_MS = 30_000;
/** A peer that wants a new proof more often than this does not get it. */
const SHORTEST_SECONDS = 10;

/** What follows from both ends having proved themselves just now (RFC 7296 §2.8.3, RFC 4478). */
export function authenticatedNow(turn: Turn, sa: IkeSa): void {
  const asked = sa.initiator;
  sa.authentication = { asked, renewAt: renewalAt(turn, sa), endAt: asked ? undefined : trustEndsAt(turn, sa) };
}

function renewalAt(turn: Turn, { peer }: IkeSa): Millis | undefined {
  const { after = 0, jitter = 0 } = peer?.reauthentication ?? {};
  return after > 0 ? turn.now + Math.max(1, after - turn.core.fraction() * jitter) * 1000 : undefined;
}

function trustEndsAt(turn: Turn, { peer }: IkeSa): Millis | undefined {
  return peer?.authLifetime ? turn.now + peer.authLifetime * 1000 : undefined;
}

/** What a responder tells about how long its trust lasts (RFC 4478 §3). */
export function lifetimeNotifies(turn: Turn, sa: IkeSa): NotifyPayload[] {
  const { endAt } = sa.authentication ?? {};
  if (endAt === undefined) return [];
  return [NOTIFY_DATA.AUTH_LIFETIME.build(Math.max(1, Math.floor((endAt - turn.now) / 1000)))];
}

/** Times that the configuration changed while the IKE SA stands run from now on. */
export function changeAuthentication(turn: Turn, sa: IkeSa, before: PeerConfig, after: PeerConfig): void {
  if (!sa.authentication) return;
  if (!sameValue(before.reauthentication, after.reauthentication)) {
    sa.authentication = { ...sa.authentication, renewAt: renewalAt(turn, sa) };
  }
  if (sa.authentication.asked || before.authLifetime === after.authLifetime) return;
  sa.authentication = { ...sa.authentication, endAt: trustEndsAt(turn, sa) };
  enqueue(turn, sa, { kind: "lifetime" });
}

/** The responder's trust ends after some time: this end proves itself anew before that (RFC 4478 §2). */
export function takeLifetime(turn: Turn, sa: IkeSa, payloads: readonly Payload[]): void {
  const notify = notifyIn(payloads, "AUTH_LIFETIME");
  const { authentication } = sa;
  if (!notify || !authentication?.asked) return;
  const seconds = Math.max(SHORTEST_SECONDS, NOTIFY_DATA.AUTH_LIFETIME.read(notify));
  const renewAt = turn.now + seconds * 1000 * (0.7 + 0.2 * turn.core.fraction());
  sa.authentication = { ...authentication, renewAt: Math.min(renewAt, authentication.renewAt ?? renewAt) };
}

export function authenticationDue(turn: Turn, sa: IkeSa): void {
  const { authentication, peer } = sa;
  const state = turn.core.peers.get(peer?.id ?? "");
  if (!authentication || !state || authenticationDueAt(sa) > turn.now) return;
  if (authentication.endAt !== undefined && authentication.endAt <= turn.now) {
    sa.authentication = undefined;
    const ours = `every ${state.config.authLifetime} s`;
    const cause = fault("ike/not-reauthenticated", "the peer did not authenticate anew in time", { facts: { ours } });
    state.lastError = errorOf(turn, "", cause);
    turn.count("not-reauthenticated");
    sa.pauseUntil = 0;
    enqueueFirst(turn, sa, { kind: "delete-ike", reason: "expired" });
    return;
  }
  sa.authentication = { ...authentication, renewAt: turn.now + AGAIN_MS };
  reauthenticate(turn, sa, state);
}

/** Begins IKE from scratch: beside the IKE SA that stands, or after it is gone (RFC 7296 §2.8.3). */
export function reauthenticate(turn: Turn, sa: IkeSa, state: PeerState): void {
  const { config } = state;
  if (config.passive || !config.remote.endpoint || !config.local.address) {
    turn.count("reauthentication-impossible");
    return;
  }
  if (turn.ofPeer(config.id).some((other) => other.replaces === sa.serial)) return;
  const carried = [...state.children.values()].filter((c) => sa.children.some((s) => s.config.id === c.config.id));
  if (config.reauthentication.mode === "break-before-make") {
    for (const child of carried) {
      child.wanted = true;
      child.retryAt = undefined;
    }
    retire(turn, sa, "reauthentication");
    return;
  }
  const wanted = carried.map((c): Task => ({ kind: "create-child", child: c.config.id }));
  const next = wanted.length > 0 && connect(turn, state, wanted);
  if (next) next.replaces = sa.serial;
}

/** `sa` has just been authenticated in the place of another: that one only carries its packets until the CHILD SAs are made anew. */
export function takePlace(turn: Turn, sa: IkeSa, wanted: readonly Task[]): void {
  const old = sa.replaces === undefined ? undefined : turn.edit(sa.replaces);
  if (old?.phase !== "established") {
    sa.replaces = undefined;
    return;
  }
  old.phase = "rekeyed";
  old.rekeyAt = undefined;
  old.expireAt = undefined;
  old.dropAt = turn.now + PATIENCE_MS;
  sa.queue = [...sa.queue, ...wanted.slice(1)];
}

/** Lets the old IKE SA go once the CHILD SAs of the new one are made, or cannot be. */
export function settleReauthentication(turn: Turn, sa: IkeSa): void {
  if (sa.replaces === undefined || sa.phase !== "established") return;
  const makes = (t: Task) => t.kind === "create-child" || t.kind === "auth";
  if (sa.queue.some(makes) || sa.asking.some((a) => makes(a.task))) return;
  const old = turn.edit(sa.replaces);
  sa.replaces = undefined;
  if (old) supersede(turn, old, true);
}

/** The IKE SA that is authenticated anew was rekeyed meanwhile: its heir is what goes in the end. */
export function followRekey(turn: Turn, old: IkeSa, heir: IkeSa): void {
  // Who cannot be called is not authenticated anew from here; there may be thousands of such callers.
  if (!old.peer?.remote.endpoint) return;
  for (const { serial, replaces } of turn.ofPeer(old.peer.id)) {
    if (replaces !== old.serial) continue;
    const attempt = turn.edit(serial);
    if (attempt) attempt.replaces = heir.serial;
  }
}
