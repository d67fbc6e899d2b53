import { changeChild, removeIn } from "./child.js";
import { noResponse } from "./failures.js";
import { cutSmaller } from "./fragments.js";
import { closeSa, connectFailed, peerDead } from "./lifecycle.js";
import { exchangeName, maxTries, resendAfter } from "./message.js";
import { change, enqueue, enqueueFirst } from "./queue.js";
import { authenticationDue } from "./reauth.js";
import { probePaths } from "./roaming.js";
import type { Asking, IkeSa } from "./sa.js";
import { dueSwitchover } from "./switchover.js";
import { keepaliveAt, probeAt } from "./timers.js";
import type { Turn } from "./turn.js";

/** Does everything of an IKE SA whose time has come; the timer may also fire too early, then this does nothing. */
export function due(turn: Turn, sa: IkeSa): void {
  sa.armedAt = Number.POSITIVE_INFINITY;
  const { now } = turn;
  if (sa.dropAt !== undefined && sa.dropAt <= now) {
    dropped(turn, sa);
    return;
  }
  const overdue = sa.asking.filter((a) => a.mid !== undefined && !a.answered && a.resendAt <= now);
  const given = overdue.find((a) => a.tries >= maxTries(sa));
  if (given) {
    unanswered(turn, sa, given);
    return;
  }
  for (const asking of overdue) resend(turn, sa, asking);
  if (probeAt(sa) <= now) enqueue(turn, sa, { kind: "probe" });
  if (keepaliveAt(sa) <= now) {
    turn.effects.push({ do: "keepalive", local: sa.local, remote: sa.remote });
    sa.lastSentAt = now;
  }
  authenticationDue(turn, sa);
  lifetimes(turn, sa);
  children(turn, sa);
}

function dropped(turn: Turn, sa: IkeSa): void {
  const refused = sa.handshake?.refused;
  if (refused) {
    connectFailed(turn, sa, refused);
    return;
  }
  if (sa.initiator && sa.phase === "auth") {
    connectFailed(turn, sa, noResponse(turn, sa, "IKE_AUTH", "the peer does not come to an end of authentication"));
    return;
  }
  if (sa.phase === "rekeyed" || sa.establishedAt !== undefined) {
    closeSa(turn, sa, "replaced");
    return;
  }
  turn.count(sa.phase === "auth" || sa.phase === "init" ? "half-open-expired" : "echo-over");
  turn.drop(sa);
}

function resend(turn: Turn, sa: IkeSa, asking: Asking): void {
  const tries = asking.tries + 1;
  const sealed = cutSmaller(turn, sa, asking, tries);
  const { datagrams } = change(sa, asking, { ...sealed, tries, resendAt: turn.now + resendAfter(sa, tries) });
  turn.count("retransmissions");
  turn.send(sa, datagrams);
  probePaths(turn, sa, datagrams, tries);
}

function unanswered(turn: Turn, sa: IkeSa, asking: Asking): void {
  const { task } = asking;
  switch (task.kind) {
    case "init":
    case "auth": {
      const silence = noResponse(turn, sa, exchangeName(task), "the peer does not answer");
      connectFailed(turn, sa, sa.handshake?.refused ?? silence);
      return;
    }
    case "delete-ike":
      closeSa(turn, sa, task.reason);
      return;
    case "report":
      closeSa(turn, sa, "failed");
      return;
    default:
      if (sa.phase === "rekeyed") {
        closeSa(turn, sa, "replaced");
        return;
      }
      peerDead(turn, sa, asking);
      return;
  }
}

function lifetimes(turn: Turn, sa: IkeSa): void {
  if (sa.expireAt !== undefined && sa.expireAt <= turn.now) {
    sa.expireAt = undefined;
    sa.rekeyAt = undefined;
    sa.pauseUntil = 0;
    enqueueFirst(turn, sa, { kind: "delete-ike", reason: "expired" });
  }
  if (sa.rekeyAt !== undefined && sa.rekeyAt <= turn.now) {
    sa.rekeyAt = undefined;
    enqueue(turn, sa, { kind: "rekey-ike" });
  }
}

function children(turn: Turn, sa: IkeSa): void {
  const { now } = turn;
  for (const child of sa.children) {
    dueSwitchover(turn, sa, child);
    if (child.expireAt !== undefined && child.expireAt <= now) {
      changeChild(sa, child.serial, { expireAt: undefined, rekeyAt: undefined });
      enqueue(turn, sa, {
        kind: "delete-child",
        serials: [child.serial],
        reason: child.state === "rekeyed" ? "replaced" : "expired",
      });
    } else if (child.rekeyAt !== undefined && child.rekeyAt <= now) {
      changeChild(sa, child.serial, { rekeyAt: undefined });
      enqueue(turn, sa, { kind: "rekey-child", serial: child.serial });
    }
  }
  const gone = sa.fading.filter((f) => f.at <= now);
  if (gone.length === 0) return;
  sa.fading = sa.fading.filter((f) => f.at > now);
  turn.apply(gone.map((f) => removeIn(f)));
}
