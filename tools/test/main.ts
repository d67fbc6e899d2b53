// `npm test`: every check and every suite, two at a time where they do not disturb each other, each counted; ends with
// `N passed, N failed, N skipped`.
import { mkdir, rm } from "node:fs/promises";
import { availableParallelism, constants } from "node:os";
import path from "node:path";
import { inLanes } from "./lanes.ts";
import { runStage } from "./run-stage.ts";
import { type Count, STAGES } from "./stages.ts";

const LANES = Math.min(2, availableParallelism());
const root = path.resolve(import.meta.dirname, "../..");
const logs = path.join(root, ".sallyport/test");
const ci = process.env.CI === "true";
const missing = (process.env.SALLYPORT_MISSING ?? "").split(" ");
const wanted = process.argv.slice(2);

const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => stop.abort(signal));

await mkdir(logs, { recursive: true });
const total: Count = { passed: 0, failed: 0, skipped: 0 };
const stages = STAGES.filter((stage) => wanted.length === 0 || wanted.includes(stage.name));
await inLanes(stages, LANES, stop.signal, async (stage, lane) => {
  const { count, says, output } = await runStage(stage, { root, logs, lane, missing, signal: stop.signal });
  if (stop.signal.aborted) return;
  total.passed += count.passed;
  total.failed += count.failed;
  total.skipped += count.skipped;
  console.log(count.failed > 0 ? `${says}\n${output.split("\n").slice(-120).join("\n")}` : says);
});
if (stop.signal.aborted) {
  const signal = stop.signal.reason as "SIGINT" | "SIGTERM" | "SIGHUP";
  console.log(`ended by ${signal}`);
  process.exit(128 + constants.signals[signal]);
}
if (total.failed === 0) await rm(logs, { recursive: true, force: true });
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exit(total.failed > 0 || (ci && total.skipped > 0) || total.passed === 0 ? 1 : 0);
