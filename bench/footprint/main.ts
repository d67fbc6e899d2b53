/**
 * What Sallyport costs before it does anything: control plane from start to ready on a database that was set up before, an idle
 * agent's memory, and the seconds from the mutation that onboards a branch to its first ping.
 *
 * `node bench/footprint/main.ts [--rounds 5]`. Needs what the demo needs.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type GatewayIntent, INTENT_SCHEMA } from "@sallyport/intent";
import { layOut, remove, startAgent, type Topology } from "@sallyport/testkit";

const { values: options } = parseArgs({ options: { rounds: { type: "string", default: "5" } } });
const rounds = Number(options.rounds);
const root = path.resolve(import.meta.dirname, "../..");
const BARS = { startMs: 3000, agentRssMiB: 120, onboardToPingMs: 3000 };
const IDLE_MS = 10_000;

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** Milliseconds from the start of the process until it says where it listens. */
async function startOnce(home: string): Promise<number> {
  const began = performance.now();
  const child = spawn(process.execPath, [path.join(root, "apps/control-plane/dist/main.js")], {
    stdio: ["ignore", "pipe", "inherit"],
    env: {
      PATH: process.env.PATH,
      SALLYPORT_HOME: home,
      SALLYPORT_LISTEN: "127.0.0.1:0",
      SALLYPORT_AGENTS_LISTEN: "127.0.0.1:0",
      SALLYPORT_LOG_LEVEL: "error",
    },
  });
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      if (line.includes("listens on")) return performance.now() - began;
    }
    throw new Error("the control plane did not start");
  } finally {
    const gone = once(child, "exit");
    child.kill("SIGTERM");
    await gone;
  }
}

async function startTimes(): Promise<number[]> {
  const home = await mkdtemp(path.join(tmpdir(), "sallyport-footprint-"));
  try {
    await startOnce(home);
    const times: number[] = [];
    for (let i = 0; i < rounds; i++) times.push(Math.round(await startOnce(home)));
    return times;
  } finally {
    await rm(home, { recursive: true, force: true });
  }
}

const NAMESPACE = "spb-footprint";
const TOPOLOGY: Topology = { namespaces: [{ name: NAMESPACE }], cables: [] };
const IDLE: GatewayIntent = {
  schema: INTENT_SCHEMA,
  revision: 1,
  gateway: { id: "footprint", name: "footprint" },
  identity: { type: "fqdn", value: "footprint.test" },
  ports: { ike: 500, natt: 4500 },
  trustAnchors: [],
  connections: [],
  options: { commitConfirmSeconds: 60, reportSeconds: 5 },
};

/** Resident memory of an agent that has nothing to do, MiB. */
async function agentMemory(): Promise<number[]> {
  await remove(TOPOLOGY);
  await layOut(TOPOLOGY);
  try {
    const samples: number[] = [];
    for (let i = 0; i < Math.min(rounds, 3); i++) {
      const agent = await startAgent({ namespace: NAMESPACE, dataPlane: "userspace", intent: IDLE });
      try {
        await sleep(IDLE_MS);
        const status = await readFile(`/proc/${agent.pid}/status`, "utf8");
        samples.push(Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024));
      } finally {
        await agent.stop();
      }
    }
    return samples;
  } finally {
    await remove(TOPOLOGY);
  }
}

async function onboardings(): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const child = spawn(process.execPath, [path.join(root, "tools/demo/main.ts"), "--check"], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    let last = "{}";
    for await (const line of createInterface({ input: child.stdout })) last = line;
    const result = JSON.parse(last);
    if (!result.ok) throw new Error(`the demo failed: ${result.failed}`);
    times.push(result.onboardToPingMs);
  }
  return times;
}

const startMs = await startTimes();
const agentRssMiB = await agentMemory();
const onboardToPingMs = await onboardings();
const results = {
  startMs: { median: median(startMs), bar: BARS.startMs, samples: startMs },
  agentRssMiB: { median: median(agentRssMiB), bar: BARS.agentRssMiB, samples: agentRssMiB },
  onboardToPingMs: { median: median(onboardToPingMs), bar: BARS.onboardToPingMs, samples: onboardToPingMs },
};
const table = [
  ["what", "median", "bar", "samples"],
  ...Object.entries(results).map(([name, r]) => [name, String(r.median), `≤ ${r.bar}`, r.samples.join(", ")]),
];
for (const cells of table) console.error(cells.map((cell) => cell.padEnd(18)).join(""));
const ok = Object.values(results).every((r) => r.median <= r.bar);
console.log(JSON.stringify({ bench: "footprint", ok, rounds, results, table }));
process.exitCode = ok ? 0 : 1;
