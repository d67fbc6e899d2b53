import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";

const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** Starts a program in a network namespace (`ip netns exec` becomes the program, so the pid is its own); it never outlives this process. */
export function spawnIn(
  namespace: string,
  command: string,
  args: readonly string[],
  options: SpawnOptions = {},
): ChildProcess {
  const child = spawn("ip", ["netns", "exec", namespace, command, ...args], options);
  running.add(child);
  child.once("exit", () => running.delete(child));
  return child;
}

export const hasEnded = (child: ChildProcess) => child.exitCode !== null || child.signalCode !== null;

/** Sends `signal`, and SIGKILL to one that is still there after `graceMs`. Resolves when the process is gone. */
export async function endProcess(
  child: ChildProcess,
  signal: NodeJS.Signals = "SIGTERM",
  graceMs = 5000,
): Promise<void> {
  if (hasEnded(child) || child.pid === undefined) return;
  const gone = once(child, "exit");
  child.kill(signal);
  const timer = setTimeout(() => child.kill("SIGKILL"), graceMs);
  await gone;
  clearTimeout(timer);
}

/** Machines that test stand still for seconds at times: what has to be quick is measured, and not by how long one waits for it. */
const PATIENCE_MS = 30_000;

/** Calls `probe` until it gives something other than undefined; rejects after `timeoutMs` with `what` and the last error. */
export async function eventually<T>(
  what: string,
  probe: () => Promise<T | undefined> | T | undefined,
  timeoutMs = PATIENCE_MS,
  everyMs = 50,
): Promise<T> {
  const end = performance.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      const value = await probe();
      if (value !== undefined) return value;
    } catch (error) {
      last = error;
    }
    if (performance.now() > end) throw new Error(`not within ${timeoutMs} ms: ${what}`, { cause: last });
    await delay(everyMs);
  }
}
