import { ALLOWED, BEGIN } from "./exchanges.js";
import { finish } from "./queue.js";
import type { IkeSa } from "./sa.js";
import type { Turn } from "./turn.js";

/** Begins the next exchange that waits, when the window is free (RFC 7296 §2.3). */
export function pump(turn: Turn, sa: IkeSa): void {
  while (sa.asking === undefined && sa.queue.length > 0 && turn.now >= sa.pauseUntil) {
    const at = sa.queue.findIndex((t) => ALLOWED[sa.phase].includes(t.kind));
    const task = sa.queue[at];
    if (!task) {
      sa.queue = [];
      return;
    }
    sa.queue = sa.queue.filter((_, i) => i !== at);
    sa.asking = { task, mid: sa.nextOurs, datagrams: [], tries: 0, resendAt: 0, answered: false };
    sa.nextOurs++;
    if (BEGIN[task.kind]?.(turn, sa, task)) return;
    finish(sa);
  }
}
