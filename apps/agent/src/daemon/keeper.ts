import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

/** Start time of a process in clock ticks: with the pid it names one process for ever (proc(5), field 22). */
function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    return undefined;
  }
}

/**
 * Holds the UDP sockets of ESP in UDP open while no agent runs, so that the kernel goes on decapsulating (docs/adr/0008): a
 * sleeping child that inherits them. It ends by itself after `seconds`.
 */
export async function startKeeper(file: string, fds: readonly number[], seconds: number): Promise<void> {
  const child = spawn("sleep", [String(seconds)], {
    detached: true,
    stdio: ["ignore", "ignore", "ignore", ...fds],
    cwd: "/",
    env: {},
  });
  await new Promise<void>((resolve, reject) => {
    child.once("error", reject);
    child.once("spawn", resolve);
  });
  child.unref();
  await writeFile(file, `${child.pid} ${startTime(child.pid as number)}\n`, { mode: 0o600 });
}

/** Ends the keeper of an earlier run, if one lives. Its ports are free when this resolves. */
export async function endKeeper(file: string): Promise<void> {
  const [pidText, started] = (await readFile(file, "utf8").catch(() => "")).trim().split(" ");
  await rm(file, { force: true });
  const pid = Number(pidText);
  if (!Number.isInteger(pid) || pid <= 1 || started === undefined || startTime(pid) !== started) return;
  process.kill(pid, "SIGKILL");
  for (let i = 0; i < 200 && startTime(pid) === started && !isZombie(pid); i++) await sleep(1);
}

function isZombie(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).startsWith("Z");
  } catch {
    return true;
  }
}
