import { readdir, readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";

const EVERY_MS = 50;
/** How long the kernel may take to end what was killed. */
const KILLED_MS = 5_000;

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  /** Tells it from a later one of the same number. */
  readonly started: string;
}

/** Of all processes but those that have ended and are not yet collected; empty where there is no /proc. */
async function processes(): Promise<Process[]> {
  const pids = (await readdir("/proc").catch(() => [])).filter((name) => /^\d+$/.test(name));
  const stats = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/stat`, "latin1").catch(() => "")));
  return stats.flatMap((stat, i) => {
    // A program's name stands in brackets and may hold any character.
    const [state, parent, group, ...more] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (!state || state === "Z") return [];
    return [{ pid: Number(pids[i]), parent: Number(parent), group: Number(group), started: more[16] ?? "" }];
  });
}

/** The leader of a process group, all in the group, and all that descend from these. */
function treeOf(leader: number, all: readonly Process[]): Process[] {
  const tree = new Set(all.filter(({ pid, group }) => pid === leader || group === leader));
  // Processes that join the set while it is walked are visited, too.
  for (const { pid } of tree) for (const child of all) if (child.parent === pid) tree.add(child);
  return [...tree];
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended.
  }
}

/**
 * Ends a process group with everything that descends from it, also what made itself a group of its own, as guests do: SIGTERM,
 * and SIGKILL for what is still there after `graceMs`. Resolves when all are gone.
 */
export async function endTree(leader: number, graceMs: number): Promise<void> {
  const known = new Map<string, Process>();
  const alive = async () => {
    const all = await processes();
    for (const found of treeOf(leader, all)) known.set(`${found.pid} ${found.started}`, found);
    return all.filter(({ pid, started }) => known.has(`${pid} ${started}`));
  };
  const first = await alive();
  send(-leader, "SIGTERM");
  for (const { pid, group } of first) if (group !== leader) send(pid, "SIGTERM");
  const gone = async (withinMs: number) => {
    const end = performance.now() + withinMs;
    let left = await alive();
    while (left.length > 0 && performance.now() < end) {
      await delay(EVERY_MS);
      left = await alive();
    }
    return left;
  };
  const deaf = await gone(graceMs);
  if (deaf.length === 0) return;
  send(-leader, "SIGKILL");
  for (const { pid } of deaf) send(pid, "SIGKILL");
  await gone(KILLED_MS);
}
