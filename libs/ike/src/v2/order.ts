import { EXCHANGE } from "../wire/registry.js";
import type { IkeSa, Phase } from "./sa.js";
import type { Task, TaskKind } from "./task.js";

/** Which tasks an IKE SA may begin in each phase. */
export const ALLOWED: Readonly<Record<Phase, readonly TaskKind[]>> = {
  init: [],
  auth: [],
  established: [
    "create-child",
    "rekey-child",
    "rekey-ike",
    "delete-child",
    "reject-child",
    "delete-ike",
    "lifetime",
    "wrong-mid",
    "window",
    "probe",
    "update-addresses",
    "tell-addresses",
    "check-route",
  ],
  rekeyed: ["delete-ike"],
  deleting: ["delete-ike", "report"],
};

/** Begins when nothing else of ours is under way, and nothing begins beside it. */
const ALONE: ReadonlySet<TaskKind> = new Set(["init", "auth", "rekey-ike", "delete-ike", "report"]);

function idOf(sa: IkeSa, serial: number): string | undefined {
  return sa.children.find((c) => c.serial === serial)?.config.id;
}

/** Configured children that a task is about: what is done to one of them is done in order. */
function childrenOf(sa: IkeSa, task: Task): readonly (string | undefined)[] {
  switch (task.kind) {
    case "create-child":
      return [task.child];
    case "rekey-child":
      return [idOf(sa, task.serial)];
    case "delete-child":
      return task.serials.map((s) => idOf(sa, s));
    default:
      return [];
  }
}

function goTogether(sa: IkeSa, a: Task, b: Task): boolean {
  if (ALONE.has(a.kind) || ALONE.has(b.kind)) return false;
  const about = childrenOf(sa, a);
  return !childrenOf(sa, b).some((child) => about.includes(child));
}

/**
 * Whether the peer takes one more request: request X waits for the responses to all up to X minus the peer's window (RFC 7296
 * §2.3). Those that are prepared have no message ID yet and may get any up to X.
 */
function isOpen(sa: IkeSa): boolean {
  const { asking, window, nextOurs } = sa;
  if (asking.length === 0) return true;
  let lowest = nextOurs;
  let preparing = 0;
  for (const { mid, answered } of asking) {
    if (mid === undefined) preparing++;
    else if (!answered && mid < lowest) lowest = mid;
  }
  return asking.length < window.send && nextOurs + preparing - lowest < window.send;
}

/** A CHILD SA that the peer asks for is made before the IKE SA that it is asked for on goes (RFC 7296 §2.25.2). */
function hasToWait(sa: IkeSa, { kind }: Task): boolean {
  return kind === "rekey-ike" && sa.serving?.exchange === EXCHANGE.CREATE_CHILD_SA;
}

/** The next exchange that may begin, in the order of the queue but for those that have to wait for others. */
export function nextTask(sa: IkeSa): Task | undefined {
  if (sa.queue.length === 0 || !isOpen(sa)) return undefined;
  const before = sa.asking.map((a) => a.task);
  for (const task of sa.queue) {
    if (!ALLOWED[sa.phase].includes(task.kind)) continue;
    if (!hasToWait(sa, task) && before.every((b) => goTogether(sa, b, task))) return task;
    before.push(task);
  }
  return undefined;
}
