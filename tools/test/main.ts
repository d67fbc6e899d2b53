// `npm test`: every check and every suite, one after the other, each counted; ends with `N passed, N failed, N skipped`.
import { spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { mkdir, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { type Count, STAGES, type Stage } from "./stages.ts";

const root = path.resolve(import.meta.dirname, "../..");
const logs = path.join(root, ".sallyport/test");
const ci = process.env.CI === "true";
const wanted = process.argv.slice(2);

function run(stage: Stage, log: string): Promise<number> {
  return new Promise((resolve) => {
    const out = createWriteStream(log);
    const [command = "", ...args] = stage.command;
    const child = spawn(command, args, {
      cwd: root,
      env: { ...process.env, NO_COLOR: "1", ...stage.env },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    const timer = setTimeout(() => {
      out.write(`\nended after ${stage.limitSeconds} s\n`);
      if (child.pid) process.kill(-child.pid, "SIGTERM");
    }, stage.limitSeconds * 1000);
    child.stdout.pipe(out, { end: false });
    child.stderr.pipe(out, { end: false });
    child.on("error", (error) => out.write(`${error.message}\n`));
    child.on("close", (code) => {
      clearTimeout(timer);
      out.end(() => resolve(code ?? 1));
    });
  });
}

/** Why a stage cannot run here, or undefined. */
function obstacle(stage: Stage): string | undefined {
  if (!stage.needs) return undefined;
  if (process.platform !== "linux") return "needs Linux";
  if (process.getuid?.() !== 0) return "needs root (network namespaces)";
  const missing = (process.env.SALLYPORT_MISSING ?? "").split(" ").filter((p) => stage.needs?.includes(p));
  return missing.length > 0 ? `needs the Debian packages ${missing.join(", ")}` : undefined;
}

async function outcome(stage: Stage): Promise<Count> {
  const why = obstacle(stage);
  if (why) {
    console.log(`${stage.name}: skipped: ${why}`);
    return { passed: 0, failed: 0, skipped: 1 };
  }
  const log = path.join(logs, `${stage.name.replace(/\W+/g, "-")}.log`);
  const started = performance.now();
  const code = await run(stage, log);
  const text = await readFile(log, "utf8");
  const count = stage.count(text, code);
  if (code !== 0 && count.failed === 0) count.failed = 1;
  if (code === 0 && count.passed + count.failed + count.skipped === 0) count.failed = 1;
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${stage.name}: ${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped (${seconds} s)`);
  if (count.failed > 0) console.log(text.split("\n").slice(-120).join("\n"));
  return count;
}

await mkdir(logs, { recursive: true });
const total: Count = { passed: 0, failed: 0, skipped: 0 };
for (const stage of STAGES.filter((s) => wanted.length === 0 || wanted.includes(s.name))) {
  const count = await outcome(stage);
  total.passed += count.passed;
  total.failed += count.failed;
  total.skipped += count.skipped;
}
if (total.failed === 0) await rm(logs, { recursive: true, force: true });
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exit(total.failed > 0 || (ci && total.skipped > 0) || total.passed === 0 ? 1 : 0);
