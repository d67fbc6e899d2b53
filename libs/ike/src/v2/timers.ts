import type { Millis } from "../api.js";
import { nextTask } from "./order.js";
import type { IkeSa } from "./sa.js";

const NEVER = Number.POSITIVE_INFINITY;

/** When silence has to be answered by a liveness check (RFC 7296 §2.4). */
export function probeAt(sa: IkeSa): Millis {
  const seconds = sa.peer?.dpdInterval ?? 0;
  return sa.phase === "established" && seconds > 0 && sa.asking.length === 0 ? sa.lastSeenAt + seconds * 1000 : NEVER;
}

/** When a NAT in front of this end has to be reminded (RFC 3948 §4). */
export function keepaliveAt(sa: IkeSa): Millis {
  const seconds = sa.peer?.natKeepalive ?? 0;
  return sa.phase === "established" && seconds > 0 && sa.nat.local ? sa.lastSentAt + seconds * 1000 : NEVER;
}

/** When this end authenticates anew, or ends what was not authenticated anew (RFC 4478). */
export function authenticationDueAt({ phase, authentication }: IkeSa): Millis {
  if (phase !== "established" || !authentication) return NEVER;
  return Math.min(authentication.renewAt ?? NEVER, authentication.endAt ?? NEVER);
}

/** The earliest moment at which something of this IKE SA is due. */
export function nextDeadline(sa: IkeSa): Millis {
  let at = Math.min(
    authenticationDueAt(sa),
    probeAt(sa),
    keepaliveAt(sa),
    sa.dropAt ?? NEVER,
    sa.rekeyAt ?? NEVER,
    sa.expireAt ?? NEVER,
  );
  for (const a of sa.asking) if (a.datagrams.length > 0 && !a.answered) at = Math.min(at, a.resendAt);
  if (nextTask(sa)) at = Math.min(at, sa.pauseUntil);
  for (const f of sa.fading) at = Math.min(at, f.at);
  for (const c of sa.children) {
    at = Math.min(at, c.rekeyAt ?? NEVER, c.expireAt ?? NEVER);
    if (c.switchover) at = Math.min(at, c.switchover.at, c.switchover.lookAt ?? NEVER);
  }
  return at;
}
