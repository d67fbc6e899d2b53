/**
 * Whether the tests against hostile input notice when what they test is gone: each guard is taken away in turn.
 *
 *   node tests/guards/main.ts [kind…]   runs the tests without their guards
 *   node tests/guards/main.ts --check   only compares docs/hostile-input.md with the code
 *   node tests/guards/main.ts --write   writes it anew
 */
import { spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { parseArgs } from "node:util";
import { CLASSES } from "./classes/index.ts";
import type { Guard } from "./guard.ts";
import { faults, PAGE, ROOT, render } from "./page.ts";

const AT_ONCE = 2;
/** A test that does not end without its guard has failed, too. */
const LIMIT_MS = 60_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { check: { type: "boolean", default: false }, write: { type: "boolean", default: false } },
});

interface Results {
  readonly numFailedTests: number;
  readonly numPassedTests: number;
  readonly numRuntimeErrorTestSuites: number;
}

/** A title as the pattern that jest takes; what it fills in can be anything. */
function pattern(title: string): string {
  const escaped = title.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
  return escaped.replace(/%[a-z]|\\\$\w+/g, ".*");
}

function jest({ file, text, without, test: [spec, title] }: Guard): Promise<Results | "endless"> {
  const arguments_ = ["--config", "tests/guards/jest.config.mjs", "--runTestsByPath", spec, "-t", pattern(title)];
  const child = spawn(
    process.execPath,
    [
      path.join(ROOT, "node_modules/jest/bin/jest.js"),
      ...arguments_,
      "--runInBand",
      "--forceExit",
      "--json",
      "--silent",
    ],
    {
      cwd: ROOT,
      stdio: ["ignore", "pipe", "ignore"],
      timeout: LIMIT_MS,
      killSignal: "SIGKILL",
      env: {
        ...process.env,
        GUARD: JSON.stringify({ file, text, without }),
        NODE_OPTIONS: "--experimental-vm-modules --disable-warning=ExperimentalWarning",
      },
    },
  );
  let output = "";
  child.stdout.on("data", (chunk) => {
    output += chunk;
  });
  return new Promise((resolve) => {
    child.on("close", (_code, signal) => resolve(signal ? "endless" : (JSON.parse(output) as Results)));
  });
}

/** Undefined when the test fails as it should. */
async function judge(guard: Guard): Promise<string | undefined> {
  const found = await jest(guard);
  if (found === "endless" || (found.numFailedTests > 0 && found.numRuntimeErrorTestSuites === 0)) return undefined;
  if (found.numRuntimeErrorTestSuites > 0) return "without the guard the code does not compile";
  return found.numPassedTests > 0 ? "passes without the guard" : "no such test ran";
}

if (values.write) await writeFile(PAGE, render());
const wrong = await faults();
for (const line of wrong) console.error(line);
if (values.check || values.write) process.exit(wrong.length > 0 ? 1 : 0);

const kinds = positionals.map(Number);
const guards = CLASSES.filter((c) => kinds.length === 0 || kinds.includes(c.number)).flatMap((c) =>
  c.guards.map((guard) => ({ number: c.number, guard })),
);
const left = [...guards];
let [passed, failed] = [0, wrong.length];
await Promise.all(
  Array.from({ length: AT_ONCE }, async () => {
    for (let next = left.shift(); next; next = left.shift()) {
      const { number, guard } = next;
      const why = await judge(guard);
      if (why) failed++;
      else passed++;
      if (why) console.error(`kind ${number}, ${guard.against}: ${guard.test.join(" › ")}: ${why}`);
    }
  }),
);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
