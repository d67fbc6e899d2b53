import { BEGIN } from "./exchanges.js";
import { ALLOWED, nextTask } from "./order.js";
import { begin, finish } from "./queue.js";
import { settleReauthentication } from "./reauth.js";
import type { IkeSa } from "./sa.js";
import type { Turn } from "./turn.js";

/** Begins the exchanges that wait, as far as the window reaches (RFC 7296 §2.3). */
export function pump(turn: Turn, sa: IkeSa): void {
  settleReauthentication(turn, sa);
  while (turn.now >= sa.pauseUntil) {
    const task = nextTask(sa);
    if (!task) {
      forgetForbidden(sa);
      return;
    }
    sa.queue = sa.queue.filter((t) => t !== task);
    const asking = begin(turn, sa, task);
    if (!BEGIN[task.kind]?.(turn, sa, asking)) finish(sa, asking);
  }
}

/** What waits and will never be allowed again. */
function forgetForbidden(sa: IkeSa): void {
  if (sa.asking.length > 0 || sa.queue.length === 0) return;
  if (!sa.queue.some((t) => ALLOWED[sa.phase].includes(t.kind))) sa.queue = [];
}
