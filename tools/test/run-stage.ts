import { spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { endTree } from "./process-tree.ts";
import type { Count, Stage } from "./stages.ts";

export interface RunOptions {
  /** Where the stage's command starts. */
  readonly root: string;
  /** Where what it prints is kept. */
  readonly logs: string;
  /** Guests keep to the processor of their lane. */
  readonly lane: number | undefined;
  /** Debian packages that could not be installed. */
  readonly missing: readonly string[];
  /** Ends the stage with all its processes. */
  readonly signal: AbortSignal;
  /** How long its processes have to end by themselves; default 5,000. */
  readonly graceMs?: number;
}

export interface Outcome {
  readonly count: Count;
  /** One line about it. */
  readonly says: string;
  /** What it printed. */
  readonly output: string;
}

/** Resolves to the exit status when all that the command started in its process group has ended. */
function execute(stage: Stage, log: string, { root, lane, signal, graceMs = 5_000 }: RunOptions): Promise<number> {
  return new Promise((resolve) => {
    const out = createWriteStream(log);
    const [command = "", ...args] = stage.command;
    const child = spawn(command, args, {
      cwd: root,
      env: { ...process.env, NO_COLOR: "1", ...(lane !== undefined && { SALLYPORT_LANE: String(lane) }), ...stage.env },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    let ending: Promise<void> | undefined;
    const end = (why: string) => {
      if (child.pid === undefined || ending) return;
      out.write(`\n${why}\n`);
      ending = endTree(child.pid, graceMs);
    };
    const timer = setTimeout(() => end(`ended after ${stage.limitSeconds} s`), stage.limitSeconds * 1000);
    const abort = () => end("ended");
    signal.addEventListener("abort", abort, { once: true });
    child.stdout.pipe(out, { end: false });
    child.stderr.pipe(out, { end: false });
    child.on("error", (error) => out.write(`${error.message}\n`));
    child.on("close", async (code) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
      await ending;
      out.end(() => resolve(code ?? 1));
    });
  });
}

/** Why a stage cannot run here, or undefined. */
function obstacle(stage: Stage, missing: readonly string[]): string | undefined {
  if (!stage.needs) return undefined;
  if (process.platform !== "linux") return "needs Linux";
  if (process.getuid?.() !== 0) return "needs root (network namespaces)";
  const lacking = missing.filter((name) => stage.needs?.includes(name));
  return lacking.length > 0 ? `needs the Debian packages ${lacking.join(", ")}` : undefined;
}

/** Runs one stage and counts; a command that fails without saying of what, or that counts nothing, counts as one failure. */
export async function runStage(stage: Stage, options: RunOptions): Promise<Outcome> {
  const why = obstacle(stage, options.missing);
  if (why) {
    return { count: { passed: 0, failed: 0, skipped: 1 }, says: `${stage.name}: skipped: ${why}`, output: "" };
  }
  const log = path.join(options.logs, `${stage.name.replace(/\W+/g, "-")}.log`);
  const started = performance.now();
  const code = await execute(stage, log, options);
  const output = await readFile(log, "utf8");
  const count = stage.count(output, code);
  if (code !== 0 && count.failed === 0) count.failed = 1;
  if (code === 0 && count.passed + count.failed + count.skipped === 0) count.failed = 1;
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const { passed, failed, skipped } = count;
  return {
    count,
    says: `${stage.name}: ${passed} passed, ${failed} failed, ${skipped} skipped (${seconds} s)`,
    output,
  };
}
