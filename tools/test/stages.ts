import { KERNEL, LIBRESWAN_NEEDS, NETWORK, STRONGSWAN, UNPACKED } from "../bootstrap/commands.mjs";
import type { Place } from "./lanes.ts";

export interface Count {
  passed: number;
  failed: number;
  skipped: number;
}

export interface Stage extends Place {
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly limitSeconds: number;
  /** Reads the counts out of what the command printed. */
  readonly count: (output: string, code: number) => Count;
  /** Needs Linux, root and these Debian packages; without them it is counted as skipped. */
  readonly needs?: readonly string[];
}

/** A check has one verdict: its exit status. */
const verdict = (_output: string, code: number): Count => ({
  passed: code === 0 ? 1 : 0,
  failed: code === 0 ? 0 : 1,
  skipped: 0,
});

/** Jest's closing line `Tests: 1 failed, 2 skipped, 3 passed, 6 total`; a suite that did not even load counts as failed. */
function jest(output: string, code: number): Count {
  const tests = /^Tests:\s+(.*)$/m.exec(output)?.[1] ?? "";
  const suites = /^Test Suites:\s+(.*)$/m.exec(output)?.[1] ?? "";
  const number = (line: string, word: string) => Number(new RegExp(`(\\d+) ${word}`).exec(line)?.[1] ?? 0);
  const failed = number(tests, "failed");
  return {
    passed: number(tests, "passed"),
    failed: failed === 0 && code !== 0 ? Math.max(1, number(suites, "failed")) : failed,
    skipped: number(tests, "skipped") + number(tests, "todo"),
  };
}

/** The line `N passed, N failed` with which a runner of our own ends. */
export function closingLine(output: string): Count {
  const [, passed, failed] = /^(\d+) passed, (\d+) failed$/m.exec(output) ?? [];
  return { passed: Number(passed ?? 0), failed: Number(failed ?? 0), skipped: 0 };
}

const jestProject = (project: string, ...more: string[]) => ["jest", "--selectProjects", project, "--ci", ...more];
const vm = { NODE_OPTIONS: "--experimental-vm-modules --disable-warning=ExperimentalWarning" };

export const STAGES: readonly Stage[] = [
  { name: "lint", command: ["biome", "ci", "--colors=off", "."], limitSeconds: 60, count: verdict },
  { name: "types", command: ["npm", "run", "typecheck"], limitSeconds: 120, count: verdict },
  {
    name: "dependency rule",
    command: ["depcruise", "--config", ".dependency-cruiser.cjs", "libs", "apps"],
    limitSeconds: 120,
    count: verdict,
  },
  { name: "contract", command: ["node", "tools/check-contract.mjs"], limitSeconds: 60, count: verdict },
  { name: "docs", command: ["node", "tools/check-docs.mjs"], limitSeconds: 60, count: verdict },
  { name: "unit", command: jestProject("unit", "--maxWorkers", "2"), env: vm, limitSeconds: 600, count: jest },
  { name: "guards", command: ["node", "tests/guards/main.ts"], limitSeconds: 900, count: closingLine },
  {
    name: "fuzz",
    command: ["node", "tests/fuzz/main.ts", "--seconds", "10"],
    limitSeconds: 600,
    count: closingLine,
    needs: ["gcc"],
  },
  {
    name: "database",
    // Each file has databases of its own, and waits for them more than it computes.
    command: jestProject("db", "--maxWorkers", "2"),
    env: vm,
    limitSeconds: 600,
    count: jest,
    needs: ["redis-server", "pebble", "knot", "softhsm2"],
  },
  {
    name: "compliance",
    command: jestProject("compliance", "--runInBand"),
    env: vm,
    limitSeconds: 600,
    count: jest,
    needs: [...NETWORK, ...KERNEL],
  },
  {
    name: "interop",
    // Its files wait more than they compute, and each has namespaces of its own.
    command: jestProject("interop", "--maxWorkers", "2"),
    env: vm,
    limitSeconds: 900,
    count: jest,
    needs: [...NETWORK, ...STRONGSWAN],
  },
  {
    name: "interop in a kernel",
    command: jestProject("interop-kernel", "--runInBand"),
    env: vm,
    limitSeconds: 1200,
    count: jest,
    needs: [...NETWORK, ...STRONGSWAN, ...KERNEL, ...LIBRESWAN_NEEDS, ...UNPACKED],
  },
  {
    name: "interop table",
    command: ["node", "tools/test/interop-table.ts"],
    limitSeconds: 60,
    count: verdict,
    needs: [...NETWORK, ...STRONGSWAN, ...KERNEL, ...LIBRESWAN_NEEDS, ...UNPACKED],
  },
  {
    name: "chaos",
    command: jestProject("chaos", "--runInBand"),
    env: vm,
    limitSeconds: 900,
    count: jest,
    needs: [...NETWORK, ...STRONGSWAN, ...KERNEL],
  },
  { name: "browser", command: jestProject("browser"), env: vm, limitSeconds: 180, count: jest, needs: ["chromium"] },
  {
    name: "demo",
    command: ["node", "tools/demo/main.ts", "--check"],
    limitSeconds: 180,
    count: verdict,
    needs: [...NETWORK, ...STRONGSWAN],
  },
  {
    name: "demo in a kernel",
    command: ["node", "tools/demo/main.ts", "--check", "--data-plane", "kernel"],
    limitSeconds: 300,
    count: verdict,
    needs: [...NETWORK, ...STRONGSWAN, ...KERNEL],
  },
];
