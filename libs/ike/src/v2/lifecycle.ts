import type { Millis } from "../api.js";
import { lastingKeys } from "../crypto/index.js";
import type { DownReason, LastError } from "../status.js";
import { NOTIFY } from "../wire/registry.js";
import { closeChild, hardAt, removeIn, softAt, undoInstall } from "./child.js";
import type { PacketSelector } from "./child-sa.js";
import { connect } from "./connect.js";
import type { Contact } from "./contact.js";
import type { ChildRuntime, PeerState } from "./core.js";
import { isBelieved } from "./evidence.js";
import { noResponse } from "./failures.js";
import { whoIs } from "./identity.js";
import { exchangeName } from "./message.js";
import { enqueue } from "./queue.js";
import { authenticatedNow, takePlace } from "./reauth.js";
import { ikeStatus } from "./report.js";
import { releaseAddresses } from "./request-config.js";
import type { Asking, IkeSa } from "./sa.js";
import { passOn } from "./switchover.js";
import type { Task } from "./task.js";
import type { Turn } from "./turn.js";
import { enforceUniqueness, identityKey, retire } from "./unique.js";
import { isMember } from "./users.js";
import { openWindow } from "./window.js";

/** How long an IKE SA that the peer has deleted repeats its answer to the Delete. */
const ECHO_MS = 10_000;
/** A responder leaves it to the initiator to make the CHILD SAs for so long. */
const GRACE_MS = 5_000;
const RETRY_FIRST_MS = 1_000;
const RETRY_MAX_MS = 60_000;

/** 1 s, 2 s, 4 s … 60 s, each between half and the whole of it. */
export function backoff(turn: Turn, tries: number): Millis {
  const full = Math.min(RETRY_FIRST_MS * 2 ** Math.min(tries, 10), RETRY_MAX_MS);
  return full * (0.5 + turn.core.fraction() / 2);
}

/** Both ends are authenticated. `contact`: what the peer has said of earlier SAs, where it is the initiator. */
export function establish(turn: Turn, sa: IkeSa, contact: Contact): void {
  const { peer } = sa;
  if (!peer) return;
  sa.phase = "established";
  sa.establishedAt = turn.now;
  sa.dropAt = undefined;
  const wanted = sa.handshake?.wanted ?? [];
  sa.handshake = undefined;
  keepWhatLasts(sa);
  sa.rekeyAt = softAt(turn, peer.lifetime, turn.now);
  sa.expireAt = hardAt(peer.lifetime, turn.now);
  sa.identity = identityKey(sa);
  openWindow(sa);
  authenticatedNow(turn, sa);
  takePlace(turn, sa, wanted);
  const state = turn.core.peers.get(peer.id);
  if (state) {
    state.tries = 0;
    state.retryAt = undefined;
    state.lastError = undefined;
    if (!sa.initiator)
      for (const c of state.children.values()) c.retryAt = Math.max(c.retryAt ?? 0, turn.now + GRACE_MS);
  }
  turn.emit({ event: "ike-up", peer: peer.id, at: turn.now, ike: ikeStatus(sa) });
  enforceUniqueness(turn, sa, contact);
  if (state && !sa.initiator) ensure(turn, peer.id);
  // It was proven by what a new configuration has taken back meanwhile.
  if (state && !(isBelieved(sa, state.config, turn.core.config) && isMember(sa, state.config))) disown(turn, sa);
}

/** The peer's proof is not accepted any more: its packets are not either, from now on, whether it answers the Delete or not. */
export function disown(turn: Turn, sa: IkeSa): void {
  retire(turn, sa, "distrusted");
  for (const child of sa.children) closeChild(turn, sa, child, "distrusted");
}

/** There may be tens of thousands: nothing that only the handshake needed, and no view that holds a whole message. */
function keepWhatLasts(sa: IkeSa): void {
  if (sa.keys) sa.keys = lastingKeys(sa.keys);
  if (sa.remoteId) sa.remoteId = { idType: sa.remoteId.idType, data: new Uint8Array(sa.remoteId.data) };
  sa.lowestNonce = new Uint8Array(sa.lowestNonce);
  // That to IKE_SA_INIT: it is found by the handshake alone.
  sa.responses = sa.responses.filter((r) => r.mid !== 0);
}

/** Our attempt has failed. `tell`: the peer thinks that it succeeded and has to hear otherwise. */
export function connectFailed(turn: Turn, sa: IkeSa, error: LastError, tell = false): void {
  const state = turn.core.peers.get(sa.peer?.id ?? "");
  const refused = tell ? whoIs(sa) : undefined;
  const about = { peer: sa.peer?.id, remote: sa.remote, error, refused, at: turn.now };
  const auth =
    error.exchange === "IKE_AUTH" &&
    /authentication|identity|pki|signature|certificate|eap|ppk|hash-and-url/.test(error.code);
  turn.emit(auth ? { event: "auth-failed", ...about } : { event: "negotiation-failed", child: undefined, ...about });
  freeOffers(turn, sa);
  if (tell) {
    sa.asking = [];
    sa.phase = "deleting";
    sa.handshake = undefined;
    sa.queue = [{ kind: "report", notify: NOTIFY.AUTHENTICATION_FAILED }];
    sa.dropAt = turn.now + ECHO_MS;
  } else turn.drop(sa);
  if (!state) return;
  state.lastError = error;
  const at = turn.now + backoff(turn, state.tries++);
  const { keyingTries = 0 } = state.config;
  const givesUp = keyingTries > 0 && state.tries >= keyingTries;
  if (givesUp) state.tries = 0;
  for (const child of state.children.values()) child.wanted &&= child.sticky && !givesUp;
  if (![...state.children.values()].some((c) => c.wanted)) return;
  state.retryAt = at;
  turn.emit({
    event: "retrying",
    peer: state.config.id,
    remote: sa.remote,
    tries: state.tries,
    retryAt: at,
    at: turn.now,
  });
  ensure(turn, state.config.id);
}

/**
 * An IKE SA without the address that was asked for is of no use: it goes, and another attempt follows later (RFC 7296 §3.15.4).
 * False when nothing was asked for or something was given.
 */
export function withoutAddress(turn: Turn, sa: IkeSa): boolean {
  if (!sa.peer?.request || sa.virtual) return false;
  const state = turn.core.peers.get(sa.peer.id);
  if (state) {
    state.tries = ++state.addressRefusals;
    state.retryAt = turn.now + backoff(turn, state.tries);
  }
  retire(turn, sa, "failed");
  return true;
}

/**
 * A CHILD SA could not be made; the IKE SA stays. `child` undefined: the peer asked for none that is configured. `refused`: it is this end
 * that refuses it.
 */
export function childFailed(turn: Turn, sa: IkeSa, child: string | undefined, error: LastError, refused = false): void {
  const peer = sa.peer?.id;
  const whom = refused ? whoIs(sa) : undefined;
  turn.emit({ event: "negotiation-failed", peer, child, remote: sa.remote, error, refused: whom, at: turn.now });
  const state = turn.core.peers.get(peer ?? "");
  const runtime = child === undefined ? undefined : state?.children.get(child);
  if (!state) return;
  if (!runtime) {
    state.lastError = error;
    return;
  }
  runtime.lastError = error;
  runtime.wanted &&= runtime.sticky;
  runtime.retryAt = turn.now + backoff(turn, runtime.tries++);
  ensure(turn, peer);
}

/** The IKE SA and all that hangs on it is over. `echo`: it stays a while to repeat its last answer. */
export function closeSa(turn: Turn, sa: IkeSa, reason: DownReason, echo = false): void {
  const heir = sa.rivalSerial === undefined ? undefined : turn.edit(sa.rivalSerial);
  if (heir?.phase === "established") inherit(sa, heir);
  const before = ikeStatus(sa);
  const wasUp = sa.establishedAt !== undefined;
  for (const wait of sa.waits) if ("built" in wait.then) undoInstall(turn, sa, wait.then.built);
  sa.waits = [];
  sa.phase = "deleting";
  const successor = reason === "replaced" ? successorOf(turn, sa) : undefined;
  for (const child of sa.children) {
    passOn(turn, sa, child);
    closeChild(turn, sa, child, reason, successor);
  }
  turn.apply(sa.fading.map((f) => removeIn(f)));
  sa.fading = [];
  freeOffers(turn, sa);
  releaseAddresses(turn, sa);
  if (wasUp)
    turn.emit({ event: "ike-down", reason, peer: sa.peer?.id, at: turn.now, ike: { ...before, children: [] } });
  if (echo) {
    sa.asking = [];
    sa.queue = [];
    sa.identity = undefined;
    sa.establishedAt = undefined;
    sa.rekeyAt = undefined;
    sa.expireAt = undefined;
    sa.dropAt = turn.now + ECHO_MS;
  } else turn.drop(sa);
  afterDown(turn, sa, reason);
}

/** The last IKE SA with the same peer, which it keeps in the place of this one. */
function successorOf(turn: Turn, sa: IkeSa): IkeSa | undefined {
  let last: IkeSa | undefined;
  for (const serial of turn.core.table.ofIdentity(sa.identity ?? "")) {
    const other = turn.look(serial);
    if (other?.phase !== "established" || other.peer?.id !== sa.peer?.id || serial === sa.serial) continue;
    if (serial > (last?.serial ?? -1)) last = other;
  }
  return last && turn.edit(last.serial);
}

/** SPIs of CHILD SAs that will not come. */
function freeOffers(turn: Turn, sa: IkeSa): void {
  turn.apply(sa.asking.flatMap(({ child }) => (child ? [removeIn({ spiIn: child.spiIn, path: sa })] : [])));
}

/** CHILD SAs go on under another IKE SA (RFC 7296 §2.18). */
export function inherit(from: IkeSa, to: IkeSa): void {
  to.children = [...to.children, ...from.children];
  to.fading = [...to.fading, ...from.fading];
  const moves = (t: Task) => t.kind === "create-child" || t.kind === "rekey-child" || t.kind === "delete-child";
  to.queue = [...to.queue, ...from.queue.filter(moves)];
  from.children = [];
  from.fading = [];
  from.queue = from.queue.filter((t) => !moves(t));
}

function afterDown(turn: Turn, sa: IkeSa, reason: DownReason): void {
  const state = turn.core.peers.get(sa.peer?.id ?? "");
  if (!state || reason === "replaced" || reason === "deleted-locally") return;
  for (const child of state.children.values()) {
    if (!child.wanted) continue;
    if (reason === "peer-dead") {
      child.wanted = child.config.dpdAction === "restart";
      child.retryAt = undefined;
    } else if (reason === "config-changed" || reason === "reauthentication") {
      child.retryAt = undefined;
    } else {
      child.wanted = child.sticky;
      child.retryAt = turn.now + backoff(turn, child.tries);
    }
  }
  if (reason === "deleted-by-peer" || reason === "failed" || reason === "distrusted") {
    state.retryAt = turn.now + backoff(turn, Math.max(1, state.tries));
  }
  ensure(turn, state.config.id);
}

/** The peer has not answered any of the retransmissions (RFC 7296 §2.4). */
export function peerDead(turn: Turn, sa: IkeSa, asking: Asking): void {
  turn.emit({ event: "peer-dead", peer: sa.peer?.id, remote: sa.remote, at: turn.now });
  const state = turn.core.peers.get(sa.peer?.id ?? "");
  if (state) state.lastError = noResponse(turn, sa, exchangeName(asking.task), "the peer does not answer any more");
  if (state && sa.peer?.passive === false) {
    for (const c of state.children.values()) if (c.config.dpdAction === "restart" && wasCarried(sa, c)) c.wanted = true;
  }
  closeSa(turn, sa, "peer-dead");
}

function wasCarried(sa: IkeSa, runtime: ChildRuntime): boolean {
  return sa.children.some((c) => c.config.id === runtime.config.id);
}

function isMissing(sas: readonly IkeSa[], child: ChildRuntime): boolean {
  const { id } = child.config;
  return !sas.some(
    (sa) =>
      sa.children.some((c) => c.config.id === id && (c.state === "installed" || c.state === "rekeying")) ||
      sa.queue.some((t) => t.kind === "create-child" && t.child === id) ||
      sa.asking.some((a) => asksFor(a, id)) ||
      servingChild(sa),
  );
}

function asksFor({ task, child }: Asking, id: string): boolean {
  if (task.kind === "create-child") return task.child === id;
  return task.kind === "auth" && child?.config.id === id;
}

/** The peer makes a CHILD SA right now: which one is not asked. */
function servingChild(sa: IkeSa): boolean {
  return sa.waits.some((w) => w.of === "serving" && w.then.go.startsWith("serve-child"));
}

/**
 * Brings up what is wanted and not there: CHILD SAs on the IKE SA that stands, else a new IKE SA, else nothing before the
 * time of the next attempt. Called whenever one of these has changed; calling it once more does no harm.
 */
export function ensure(turn: Turn, peer: string | undefined): void {
  const state = turn.core.peers.get(peer ?? "");
  if (!state || turn.core.stopped) return;
  const wanted = [...state.children.values()].filter((c) => c.wanted);
  if (wanted.length === 0) return;
  const sas = turn.ofPeer(state.config.id);
  const up = sas.filter((sa) => sa.phase === "established");
  const missing = wanted.filter((c) => isMissing(up, c));
  if (missing.length === 0) return;
  const best = up.at(-1);
  if (best) {
    createMissing(turn, state, best, missing);
    return;
  }
  if (sas.some((sa) => sa.initiator && (sa.phase === "init" || sa.phase === "auth"))) return;
  if (state.config.passive || !state.config.remote.endpoint || !state.config.local.address) return;
  if ((state.retryAt ?? 0) > turn.now) {
    wake(turn, state, state.retryAt ?? 0);
    return;
  }
  state.retryAt = undefined;
  connect(
    turn,
    state,
    missing.map((c) => ({ kind: "create-child", child: c.config.id, ...packetOf(c) })),
  );
}

function packetOf(child: ChildRuntime): { packet?: PacketSelector } {
  const { packet } = child;
  child.packet = undefined;
  return packet ? { packet } : {};
}

function createMissing(turn: Turn, state: PeerState, on: IkeSa, missing: readonly ChildRuntime[]): void {
  const sa = turn.edit(on.serial);
  if (!sa) return;
  let next = Number.POSITIVE_INFINITY;
  for (const child of missing) {
    const at = child.retryAt ?? 0;
    if (at <= turn.now) enqueue(turn, sa, { kind: "create-child", child: child.config.id, ...packetOf(child) });
    else next = Math.min(next, at);
  }
  if (next !== Number.POSITIVE_INFINITY) wake(turn, state, next);
}

function wake(turn: Turn, state: PeerState, at: Millis): void {
  turn.arm(state.timer, at);
}
