import { execFile } from "node:child_process";
import { readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { remove } from "@sallyport/testkit";
import { ControlPlane } from "./control-plane.ts";
import { WORLD } from "./world.ts";

const run = promisify(execFile);
/** Namespaces are the machine's, so this is too, whatever checkout the demo runs from. */
const FILE = "/run/sallyport-demo.json";

interface Claim {
  readonly pid: number;
  /** The process's command line: another may have its number by now. */
  readonly command: string;
  readonly home: string;
}

const commandOf = (pid: number) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => undefined);

/** Makes this process the only one on the machine that has the demo's world. What a demo that was killed left behind is removed first. */
export async function claim(home: string): Promise<void> {
  const earlier = await readFile(FILE, "utf8").then(
    (text) => JSON.parse(text) as Claim,
    () => undefined,
  );
  if (earlier && (await commandOf(earlier.pid)) === earlier.command)
    throw new Error(`a demo runs on this machine already, as process ${earlier.pid}`);
  if (earlier) await clear(earlier.home);
  await remove(WORLD);
  const { pid } = process;
  await writeFile(FILE, JSON.stringify({ pid, command: (await commandOf(pid)) ?? "", home } satisfies Claim));
}

export const release = () => rm(FILE, { force: true });

async function clear(home: string): Promise<void> {
  for (const { name } of WORLD.namespaces) {
    const { stdout } = await run("ip", ["netns", "pids", name]).catch(() => ({ stdout: "" }));
    for (const pid of stdout
      .split("\n")
      .map(Number)
      .filter((n) => n > 1))
      process.kill(pid, "SIGKILL");
  }
  const controlPlane = new ControlPlane({ home: path.join(home, "control-plane"), port: 0, agentsPort: 0 });
  await controlPlane.endOrphan();
  await rm(home, { recursive: true, force: true });
}
