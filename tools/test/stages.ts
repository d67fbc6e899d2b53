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
export function jest(output: string, code: number): Count {
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

const vm = { NODE_OPTIONS: "--experimental-vm-modules --disable-warning=ExperimentalWarning" };
/** A Jest project, or those of its files that the options choose. */
const jestStage = (project: string, ...options: readonly string[]) => ({
  command: ["jest", "--selectProjects", project, "--ci", ...options],
  env: vm,
  count: jest,
});
const only = (files: string) => ["--runInBand", "--testPathPatterns", files];

const NETWORK_LAB = { uses: ["namespaces"], needs: [...NETWORK, ...STRONGSWAN] } as const;
/** A User Mode Linux guest has a kernel of its own, and takes the processor of its lane. */
const GUEST = { needs: [...NETWORK, ...STRONGSWAN, ...KERNEL] } as const;
const LIBRESWAN_GUEST = { needs: [...GUEST.needs, ...LIBRESWAN_NEEDS, ...UNPACKED] } as const;

/** In the order in which they start as far as nothing speaks against it: what takes long comes early, so that both lanes end at about the same time. */
export const STAGES: readonly Stage[] = [
  { name: "lint", command: ["biome", "ci", "--colors=off", "."], limitSeconds: 60, count: verdict },
  {
    name: "interop in a kernel",
    ...jestStage("interop-kernel", ...only("/strongswan\\.")),
    ...GUEST,
    limitSeconds: 1200,
  },
  { name: "types", command: ["npm", "run", "typecheck"], limitSeconds: 180, count: verdict },
  {
    name: "dependency rule",
    command: ["depcruise", "--config", ".dependency-cruiser.cjs", "libs", "apps"],
    limitSeconds: 120,
    count: verdict,
  },
  { name: "contract", command: ["node", "tools/check-contract.mjs"], limitSeconds: 60, count: verdict },
  { name: "docs", command: ["node", "tools/check-docs.mjs"], limitSeconds: 60, count: verdict },
  { name: "unit", ...jestStage("unit", "--maxWorkers", "2"), limitSeconds: 600 },
  { name: "guards", command: ["node", "tests/guards/main.ts"], limitSeconds: 900, count: closingLine },
  // Two workers, because its files wait more than they compute, and each has namespaces of its own.
  { name: "interop", ...jestStage("interop", "--maxWorkers", "2"), ...NETWORK_LAB, limitSeconds: 900 },
  { name: "compliance", ...jestStage("compliance", ...only("/userspace\\.")), ...NETWORK_LAB, limitSeconds: 600 },
  {
    name: "database",
    // Each file has databases of its own, and waits for them more than it computes.
    ...jestStage("db", "--maxWorkers", "2"),
    needs: ["redis-server", "pebble", "knot", "softhsm2"],
    limitSeconds: 600,
  },
  {
    name: "interop with libreswan",
    ...jestStage("interop-kernel", ...only("/libreswan\\.")),
    ...LIBRESWAN_GUEST,
    limitSeconds: 1200,
  },
  {
    name: "fuzz",
    command: ["node", "tests/fuzz/main.ts", "--seconds", "6"],
    limitSeconds: 600,
    count: closingLine,
    needs: ["gcc"],
  },
  { name: "browser", ...jestStage("browser"), limitSeconds: 180, needs: ["chromium"] },
  {
    name: "demo",
    command: ["node", "tools/demo/main.ts", "--check"],
    ...NETWORK_LAB,
    limitSeconds: 180,
    count: verdict,
  },
  { name: "compliance in a kernel", ...jestStage("compliance", ...only("/kernel\\.")), ...GUEST, limitSeconds: 600 },
  { name: "chaos in a kernel", ...jestStage("chaos", ...only("/kernel\\.")), ...GUEST, limitSeconds: 600 },
  {
    name: "demo in a kernel",
    command: ["node", "tools/demo/main.ts", "--check", "--data-plane", "kernel"],
    ...GUEST,
    limitSeconds: 360,
    count: verdict,
  },
  {
    name: "interop table",
    command: ["node", "tools/test/interop-table.ts"],
    after: ["interop", "interop in a kernel", "interop with libreswan"],
    needs: LIBRESWAN_GUEST.needs,
    limitSeconds: 60,
    count: verdict,
  },
  // It measures how fast a gateway and its control plane recover, and what of a processor they take.
  {
    name: "chaos",
    ...jestStage("chaos", ...only("/(control-plane|flood)\\.")),
    ...NETWORK_LAB,
    needs: [...NETWORK_LAB.needs, "pebble"],
    alone: true,
    limitSeconds: 900,
  },
];
