import type { IkeSa, Task } from "./sa.js";
import type { Turn } from "./turn.js";

function sameTask(a: Task, b: Task): boolean {
  if (a.kind !== b.kind) return false;
  if (a.kind === "create-child" && b.kind === "create-child") return a.child === b.child;
  if (a.kind === "rekey-child" && b.kind === "rekey-child") return a.serial === b.serial;
  if (a.kind === "delete-child" && b.kind === "delete-child") return a.serials.every((s) => b.serials.includes(s));
  return true;
}

/** Adds an exchange to those that wait for the window; one that waits already or is under way is not added again. */
export function enqueue(_turn: Turn, sa: IkeSa, task: Task): void {
  if (sa.queue.some((t) => sameTask(task, t)) || (sa.asking && sameTask(task, sa.asking.task))) return;
  sa.queue = [...sa.queue, task];
}

/** Puts it before everything else that waits. */
export function enqueueFirst(_turn: Turn, sa: IkeSa, task: Task): void {
  sa.queue = [task, ...sa.queue.filter((t) => !sameTask(task, t))];
}

/** The exchange under way is over. A message ID that was never sent is used again: they have no gaps (RFC 7296 §2.2). */
export function finish(sa: IkeSa): void {
  if (sa.asking && sa.asking.datagrams.length === 0) sa.nextOurs = sa.asking.mid;
  sa.asking = undefined;
}

/** Gives up the exchange that is being prepared and has not been sent. */
export function abandon(sa: IkeSa): void {
  sa.waits = sa.waits.filter((w) => w.of !== "asking");
  finish(sa);
}

/** Puts the exchange under way back and waits `ms` before anything new begins (RFC 7296 §2.25). */
export function postpone(turn: Turn, sa: IkeSa, ms: number): void {
  const task = sa.asking?.task;
  finish(sa);
  if (task) sa.queue = [task, ...sa.queue.filter((t) => !sameTask(task, t))];
  sa.pauseUntil = turn.now + ms;
}
