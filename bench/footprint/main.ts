/**
 * What Sallyport costs before it does anything: control plane from start to ready on a database that was set up before, the memory
 * of an idle agent that is enrolled, connected and has its tunnels up, and the seconds from the mutation that onboards a branch
 * to its first ping.
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
import { claim, release } from "../../tools/demo/claim.ts";
import { Fleet } from "../../tools/demo/fleet.ts";

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

const HOME = path.join(root, ".sallyport/footprint");
const FLEETS = Math.min(rounds, 3);

/** Resident memory of a process, MiB. */
async function residentMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024);
}

interface AgentMemory {
  readonly oneTunnel: number[];
  readonly twoTunnels: number[];
}

/** Of the demo's agents, some time after all tunnels are up: the branch's with one tunnel, headquarters' with two. */
async function agentMemory(): Promise<AgentMemory> {
  const memory: AgentMemory = { oneTunnel: [], twoTunnels: [] };
  for (let i = 0; i < FLEETS; i++) {
    await claim(HOME);
    const fleet = new Fleet({ home: HOME, dataPlane: "userspace", port: 8450, agentsPort: 8451 });
    try {
      await fleet.startControlPlane();
      await fleet.layOut();
      await fleet.createHeadquarters();
      await fleet.onboardBranch();
      await fleet.addPartner();
      await fleet.healthy(2);
      await sleep(IDLE_MS);
      memory.oneTunnel.push(await residentMiB(fleet.branch.pid));
      memory.twoTunnels.push(await residentMiB(fleet.headquarters.pid));
    } finally {
      const left = await fleet.close();
      await release();
      if (left.length > 0) console.error(`left behind: ${left.join("; ")}`);
    }
  }
  return memory;
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
const memory = await agentMemory();
const onboardToPingMs = await onboardings();
const measured = [
  { what: "control plane, start to ready, ms", bar: BARS.startMs, samples: startMs },
  { what: "agent, connected, 1 tunnel up, VmRSS MiB", bar: BARS.agentRssMiB, samples: memory.oneTunnel },
  { what: "agent, connected, 2 tunnels up, VmRSS MiB", bar: BARS.agentRssMiB, samples: memory.twoTunnels },
  { what: "onboarding, mutation to first ping, ms", bar: BARS.onboardToPingMs, samples: onboardToPingMs },
];
const results = measured.map((row) => ({ ...row, median: median(row.samples) }));
const table = [
  ["what", "median", "bar", "samples"],
  ...results.map((r) => [r.what, String(r.median), `≤ ${r.bar}`, r.samples.join(", ")]),
];
const notes = [
  "Control plane and embedded PostgreSQL start on a database that was set up before.",
  `The agents are the demo's, with the userspace data plane, ${IDLE_MS / 1000} s after the API said that every tunnel is up; nothing but keepalives and reports goes on.`,
  "Onboarding includes the enrolment command on the new gateway.",
];
for (const cells of table) console.error(cells.map((cell, i) => cell.padEnd(i === 0 ? 44 : 10)).join(""));
for (const note of notes) console.error(note);
const ok = results.every((r) => r.median <= r.bar);
console.log(JSON.stringify({ bench: "footprint", ok, rounds, results, table, notes }));
process.exitCode = ok ? 0 : 1;
