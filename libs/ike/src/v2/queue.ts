import type { Asking, IkeSa } from "./sa.js";
import type { Task } from "./task.js";
import type { Turn } from "./turn.js";

function sameTask(a: Task, b: Task): boolean {
  if (a.kind !== b.kind) return false;
  if (a.kind === "create-child" && b.kind === "create-child") return a.child === b.child;
  if (a.kind === "rekey-child" && b.kind === "rekey-child") return a.serial === b.serial;
  if (a.kind === "reject-child" && b.kind === "reject-child") return a.spiIn === b.spiIn;
  if (a.kind === "delete-child" && b.kind === "delete-child") return a.serials.every((s) => b.serials.includes(s));
  return true;
}

/** Adds an exchange to those that wait for the window; one that waits already or is under way is not added again. */
export function enqueue(_turn: Turn, sa: IkeSa, task: Task): void {
  if (sa.queue.some((t) => sameTask(task, t)) || sa.asking.some((a) => sameTask(task, a.task))) return;
  sa.queue = [...sa.queue, task];
}

/** Puts it before everything else that waits. */
export function enqueueFirst(_turn: Turn, sa: IkeSa, task: Task): void {
  sa.queue = [task, ...sa.queue.filter((t) => !sameTask(task, t))];
}

/** An exchange whose turn has come; `ask` sends its request when that is ready. */
export function begin(turn: Turn, sa: IkeSa, task: Task): Asking {
  const id = turn.core.newSerial();
  const asking: Asking = { id, task, mid: undefined, datagrams: [], tries: 0, resendAt: 0, answered: false };
  sa.asking = [...sa.asking, asking];
  return asking;
}

/** As it is now; undefined when it is over. */
export function askingOf(sa: IkeSa, id: number | "serving"): Asking | undefined {
  return sa.asking.find((a) => a.id === id);
}

/** Gives it as it is now. */
export function change(sa: IkeSa, asking: Asking, how: Partial<Asking>): Asking {
  const changed = { ...(askingOf(sa, asking.id) ?? asking), ...how };
  sa.asking = sa.asking.map((a) => (a.id === asking.id ? changed : a));
  return changed;
}

/** The exchange is over. */
export function finish(sa: IkeSa, { id }: Asking): void {
  sa.asking = sa.asking.filter((a) => a.id !== id);
}

/** Gives up an exchange that is being prepared and has not been sent. */
export function abandon(sa: IkeSa, asking: Asking): void {
  sa.waits = sa.waits.filter((w) => w.of !== asking.id);
  finish(sa, asking);
}

/** Puts an exchange back to the head of those that wait, perhaps to be done in another way. */
export function again(turn: Turn, sa: IkeSa, asking: Asking, task = asking.task): void {
  finish(sa, asking);
  enqueueFirst(turn, sa, task);
}

/** Puts an exchange back and waits `ms` before anything new begins (RFC 7296 §2.25). */
export function postpone(turn: Turn, sa: IkeSa, asking: Asking, ms: number): void {
  again(turn, sa, asking);
  sa.pauseUntil = turn.now + ms;
}
