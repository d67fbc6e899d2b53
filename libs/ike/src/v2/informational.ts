import { NOTIFY, NOTIFY_DATA, notification } from "../wire/index.js";
import { nameOf, PROTOCOL } from "../wire/registry.js";
import type { DeletePayload, Payload } from "../wire/types.js";
import { childBySerial, closeChild } from "./child.js";
import type { Child } from "./child-sa.js";
import { identificationText } from "./identity.js";
import { closeSa, ensure } from "./lifecycle.js";
import { all, ask, errorIn, respond, spiBytes, spiNumber } from "./message.js";
import { mappingProbe, mappingProbed, serveMobike } from "./mobike.js";
import { change, finish } from "./queue.js";
import { lifetimeNotifies, takeLifetime } from "./reauth.js";
import type { Asking, IkeSa } from "./sa.js";
import { answerConfig } from "./serve-config.js";
import { passOn, switchOutbound } from "./switchover.js";
import type { Turn } from "./turn.js";
import { answerWindow, openWindow, takeWindow, windowNotifies } from "./window.js";

const NO_SPIS: readonly Uint8Array[] = [];

function deletion(spis: readonly number[]): DeletePayload {
  return { kind: "D", protocol: PROTOCOL.ESP, spis: spis.map(spiBytes) };
}

/** RFC 7296 §1.4: deletes, notifications and the mere question whether this end is alive. */
export function serveInformational(turn: Turn, sa: IkeSa, payloads: readonly Payload[]): void {
  if (sa.phase === "auth") {
    givenUp(turn, sa, payloads);
    return;
  }
  const deletes = all(payloads, "D");
  if (deletes.some((d) => d.protocol === PROTOCOL.IKE)) {
    ikeDeleted(turn, sa);
    return;
  }
  const error = errorIn(payloads);
  if (error?.type === NOTIFY.AUTHENTICATION_FAILED) {
    distrusted(turn, sa, error.type);
    return;
  }
  const moved = serveMobike(turn, sa, payloads, sa.serving?.from ?? sa);
  const window = answerWindow(sa, payloads);
  takeLifetime(turn, sa, payloads);
  const answer: number[] = [];
  for (const d of deletes) {
    if (d.protocol !== PROTOCOL.ESP) continue;
    for (const spi of d.spis) {
      const child = sa.children.find((c) => c.spiOut === spiNumber(spi));
      if (!child) {
        turn.count("delete-of-unknown-child");
        noteDeleted(sa, spiNumber(spi));
        continue;
      }
      // Our own Delete of it is under way: both sides close, neither lists it in its answer (§1.4.1).
      if (child.state !== "deleting") answer.push(child.spiIn);
      childDeleted(turn, sa, child);
    }
  }
  const deleted = answer.length > 0 ? [deletion(answer)] : [];
  respond(turn, sa, [...deleted, ...moved, ...answerConfig(sa, payloads), ...window]);
  if (deletes.length > 0) ensure(turn, sa.peer?.id);
}

/** It may be the one that we are about to have. */
function noteDeleted(sa: IkeSa, spi: number): void {
  for (const asking of sa.asking) {
    if (asking.child) change(sa, asking, { deleted: [...(asking.deleted ?? []), spi].slice(-MAX_NOTED) });
  }
}

/** Of one request, which is answered soon. */
const MAX_NOTED = 64;

function ikeDeleted(turn: Turn, sa: IkeSa): void {
  const superseded = sa.phase === "rekeyed" || sa.rivalSerial !== undefined;
  // With the answer the peer takes its inbound SAs away.
  for (const child of sa.children) passOn(turn, sa, child);
  respond(turn, sa, []);
  // Decided here and not told yet, or told: the peers' Deletes cross ours.
  const own = [...sa.asking.map((a) => a.task), ...(sa.phase === "rekeyed" ? sa.queue : [])];
  const ours = own.flatMap((task) => (task.kind === "delete-ike" ? [task.reason] : []))[0];
  if (sa.phase === "deleting" && !ours) return;
  closeSa(turn, sa, ours ?? (superseded ? "replaced" : "deleted-by-peer"), true);
}

/** The responder could not be convinced after all, or this end could not (RFC 7296 §2.21.2). */
function distrusted(turn: Turn, sa: IkeSa, notify: number): void {
  // We have refused it ourselves, which says more than that it has understood.
  if (sa.phase === "deleting") {
    ikeDeleted(turn, sa);
    return;
  }
  const error = {
    code: "ike/authentication-failed",
    message: "the peer does not trust this end",
    ours: `${sa.localId ? identificationText(sa.localId) : "?"} by ${sa.peer?.localAuth.map((a) => a.method).join(", then ") ?? "?"}`,
    theirs: nameOf(NOTIFY, notify),
    exchange: "INFORMATIONAL",
    at: turn.now,
  };
  const state = turn.core.peers.get(sa.peer?.id ?? "");
  if (state) state.lastError = error;
  turn.emit({ event: "auth-failed", peer: sa.peer?.id, remote: sa.remote, error, at: turn.now });
  respond(turn, sa, []);
  closeSa(turn, sa, "failed", true);
}

/**
 * Between the requests of EAP the initiator may find that it does not trust this end, or take the method's word for its own refusal
 * (RFC 7296 §2.21.2). Anything else has to wait until it is authenticated.
 */
function givenUp(turn: Turn, sa: IkeSa, payloads: readonly Payload[]): void {
  const eap = sa.handshake?.proving.eap;
  const error = errorIn(payloads);
  if (eap?.role !== "server" || error?.type !== NOTIFY.AUTHENTICATION_FAILED) {
    turn.count("illegal-transition");
    sa.serving = undefined;
  } else if (eap.state.refused) {
    respond(turn, sa, []);
    closeSa(turn, sa, "failed", true);
  } else distrusted(turn, sa, error.type);
}

/** A pair that we have just finished making may have been deleted by the peer already. */
export function deletedEarly(turn: Turn, sa: IkeSa, made: Child, deleted: readonly number[] | undefined): void {
  const child = deleted?.includes(made.spiOut) ? childBySerial(sa, made.serial) : undefined;
  if (!child) return;
  childDeleted(turn, sa, child);
  ensure(turn, sa.peer?.id);
}

/** The peer deletes a pair. When its rekey has replaced it, the peer can receive on the new one now. */
function childDeleted(turn: Turn, sa: IkeSa, child: Child): void {
  const heir = childBySerial(sa, child.replacedBy);
  if (heir?.state === "installed" || heir?.state === "rekeying") switchOutbound(turn, sa, heir, child);
  else passOn(turn, sa, child);
  const replaced = child.state === "rekeyed";
  if (!replaced) delayRestart(turn, sa, child);
  const now = childBySerial(sa, child.serial) ?? child;
  closeChild(turn, sa, now, replaced ? "replaced" : "deleted-by-peer");
}

const RESTART_MS = 1_000;

function delayRestart(turn: Turn, sa: IkeSa, child: Child): void {
  const runtime = turn.core.peers.get(sa.peer?.id ?? "")?.children.get(child.config.id);
  if (!runtime || sa.asking.some(({ task }) => task.kind === "rekey-child" && task.serial === child.serial)) return;
  runtime.wanted &&= runtime.sticky;
  runtime.retryAt = turn.now + RESTART_MS * (1 + turn.core.fraction());
}

/** Begins an INFORMATIONAL exchange; false when it has become pointless. */
export function beginInformational(turn: Turn, sa: IkeSa, asking: Asking): boolean {
  const { task } = asking;
  switch (task.kind) {
    case "delete-child": {
      const there = sa.children.filter((c) => task.serials.includes(c.serial) && c.state !== "deleting");
      if (there.length === 0) return false;
      sa.children = sa.children.map((c) =>
        there.includes(c) ? { ...c, state: "deleting", rekeyAt: undefined, expireAt: undefined } : c,
      );
      ask(turn, sa, asking, [deletion(there.map((c) => c.spiIn))]);
      return true;
    }
    case "reject-child":
      ask(turn, sa, asking, [deletion([task.spiIn])]);
      return true;
    case "delete-ike":
      sa.phase = "deleting";
      ask(turn, sa, asking, [{ kind: "D", protocol: PROTOCOL.IKE, spis: NO_SPIS }]);
      return true;
    case "report":
      ask(turn, sa, asking, [{ ...notification("AUTHENTICATION_FAILED"), type: task.notify }]);
      return true;
    case "lifetime": {
      const notifies = lifetimeNotifies(turn, sa);
      if (notifies.length === 0) return false;
      ask(turn, sa, asking, notifies);
      return true;
    }
    case "wrong-mid":
      ask(turn, sa, asking, [NOTIFY_DATA.INVALID_MESSAGE_ID.build(task.mid)]);
      return true;
    case "window":
      openWindow(sa);
      ask(turn, sa, asking, windowNotifies(sa));
      return true;
    default:
      ask(turn, sa, asking, mappingProbe(turn, sa));
      return true;
  }
}

export function informationalAnswered(turn: Turn, sa: IkeSa, asking: Asking, payloads: readonly Payload[]): void {
  const { task } = asking;
  takeWindow(sa, payloads);
  finish(sa, asking);
  if (task.kind === "probe") mappingProbed(turn, sa, payloads);
  if (task.kind === "delete-child") {
    for (const serial of task.serials) {
      const child = childBySerial(sa, serial);
      if (!child) continue;
      const heir = childBySerial(sa, child.replacedBy);
      if (child.sending && heir?.state === "installed" && !heir.sending) switchOutbound(turn, sa, heir, child);
      closeChild(turn, sa, childBySerial(sa, serial) ?? child, task.reason);
    }
    ensure(turn, sa.peer?.id);
  }
  if (task.kind === "delete-ike") closeSa(turn, sa, task.reason);
  if (task.kind === "report") closeSa(turn, sa, "failed");
}
