/**
 * Coverage-guided fuzzing of every decoder and of the whole engine.
 *
 *   node tests/fuzz/main.ts [--seconds N] [--keep] [--record] [target…]
 *
 * Each target runs over its kept inputs and then for N seconds (20) over what the fuzzer makes of them. With `--keep` the inputs
 * that reach more than the kept ones are added to these, as few as will do. A finding is written to .sallyport/fuzz/<target>/.
 * With `--record` the rows of these targets in docs/fuzzing-record.md are written anew.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, open, readdir, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { parseArgs } from "node:util";
import { build, WORK } from "./build.ts";
import { inputsIn, keep, layOutInputs } from "./corpus.ts";
import { fuzzer } from "./fuzzer.ts";
import { type Recorded, record } from "./record.ts";

/** Octets of an input at most, seconds that one may take before it counts as a hang, and memory at most. */
const LIMITS = ["-max_len=16384", "-timeout=10", "-rss_limit_mb=2048"];
const HELPERS = ["gateways", "input", "invariants", "seeds"];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: "string", default: "20" },
    keep: { type: "boolean", default: false },
    record: { type: "boolean", default: false },
  },
});
const seconds = Number(values.seconds);
const compiled = await build();
const { command, environment } = await fuzzer();

interface Outcome extends Recorded {
  readonly output: string;
}

async function run(target: string, folder: string, inputs: readonly string[], options: readonly string[]) {
  const log = path.join(folder, "log");
  const handle = await open(log, "w");
  const arguments_ = [
    path.join(compiled, `${target}.js`),
    ...inputs,
    "--sync",
    "-i",
    "fuzz/build/",
    "-e",
    "node_modules",
  ];
  const child = spawn(process.execPath, [command, ...arguments_, "--", ...options], {
    cwd: folder,
    env: { ...process.env, ...environment },
    stdio: ["ignore", handle.fd, handle.fd],
  });
  const [code, signal] = (await once(child, "close")) as [number | null, string | null];
  await handle.close();
  const end = signal ? `\nended by ${signal}\n` : "";
  return { code: code ?? 1, output: (await readFile(log, "utf8")) + end };
}

const last = (text: string, pattern: RegExp) => Number([...text.matchAll(pattern)].at(-1)?.[1] ?? 0);

async function fuzz(target: string): Promise<Outcome> {
  const folder = path.join(WORK, target);
  const [corpus, found] = [path.join(folder, "kept"), path.join(folder, "found")];
  await mkdir(folder, { recursive: true });
  const kept = await layOutInputs(target, corpus);
  await rm(found, { recursive: true, force: true });
  await mkdir(found, { recursive: true });
  const options = [...LIMITS, `-max_total_time=${seconds}`, "-print_final_stats=1", `-artifact_prefix=${folder}/`];
  const { code, output } = await run(target, folder, [found, corpus], options);
  const executions = last(output, /stat::number_of_executed_units:\s+(\d+)/g);
  const outcome: Outcome = {
    target,
    ok: code === 0 && executions > 0,
    kept,
    found: (await inputsIn(found)).length,
    executions,
    coverage: last(output, /cov: (\d+)/g),
    slowest: last(output, /stat::slowest_unit_time_sec:\s+(\d+)/g),
    megabytes: last(output, /stat::peak_rss_mb:\s+(\d+)/g),
    output,
  };
  if (values.keep && outcome.ok) {
    const least = path.join(folder, "least");
    await rm(least, { recursive: true, force: true });
    await mkdir(least, { recursive: true });
    const merged = await run(target, folder, [least, corpus, found], [...LIMITS, "-merge=1"]);
    if (merged.code === 0) await keep(target, await inputsIn(least));
    else console.log(merged.output.slice(-4_000));
  }
  return outcome;
}

const all = (await readdir(path.join(import.meta.dirname, "targets")))
  .map((name) => name.replace(/\.ts$/, ""))
  .filter((name) => !HELPERS.includes(name));
const targets = positionals.length > 0 ? positionals : all;
const started = performance.now();
const outcomes: Outcome[] = [];
const waiting = [...targets];
const lane = async () => {
  for (let target = waiting.shift(); target; target = waiting.shift()) {
    const outcome = await fuzz(target);
    outcomes.push(outcome);
    if (values.record) await record(seconds, outcome);
    const { ok, kept, executions, coverage, megabytes } = outcome;
    console.log(
      `${target}: ${ok ? "ok" : "FAILED"}, ${kept} kept inputs, ${executions} runs, coverage ${coverage}, ${megabytes} MB at most`,
    );
    if (!ok) console.log(outcome.output.slice(-6_000));
  }
};
await Promise.all([lane(), lane()]);
const failed = outcomes.filter((o) => !o.ok).length;
console.log(`${Math.round((performance.now() - started) / 1000)} s`);
console.log(`${outcomes.length - failed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
