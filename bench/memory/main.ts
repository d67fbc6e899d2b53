/**
 * What 20,000 established IKE SAs with a CHILD SA each cost the agent in memory, and whether one more handshake costs more then.
 *
 * `node bench/memory/main.ts [--sas 20000] [--rounds 3] [--snapshot FILE]`
 */
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { endProcess, layOut, remove } from "@sallyport/testkit";
import { measureLimit } from "../handshake/limit.ts";
import type { Answer } from "../ike/generator.ts";
import { AGENT_OPTIONS, cpuTime, credentials, median, place, program } from "../ike/lab.ts";
import type { Memory } from "../ike/responder.ts";
import type { Scenario } from "../ike/scenario.ts";

const { values: options } = parseArgs({
  options: {
    sas: { type: "string", default: "20000" },
    rounds: { type: "string", default: "3" },
    snapshot: { type: "string" },
  },
});
const MANY = Number(options.sas);
const FEW = 1_000;
/** Handshakes over which the cost of one is taken, half of them before and half of them after there are `FEW` or `MANY` SAs. */
const TAKEN = 1_000;
/** KiB of RSS for an IKE SA with its CHILD SA; how much dearer a handshake may be among `MANY` than among `FEW`. */
const BARS = { memory: 12, cost: 1.1 };
/** Handshakes after which the JIT compiler is done. */
const WARM_UP = 8_000;
const SETTLE_MS = 2_000;
const say = (text: string) => console.error(text);

interface Round {
  /** Octets of one IKE SA. */
  readonly rss: number;
  readonly collected: number;
  /** Of these what objects on the heap and buffers outside it take. */
  readonly held: number;
  /** Microseconds of CPU time of one handshake. */
  readonly few: number;
  readonly many: number;
}

const scenario: Scenario = {
  group: "x25519",
  auth: "psk",
  clients: "many",
  dataPlane: "books",
  limits: "none",
  ...(await credentials("psk")),
};
const where = place("mem");

/** In processes of its own: one that had SAs before keeps their room, and what comes next would look cheaper than it is. */
async function measure(name: string): Promise<Round> {
  const responder = await program(where.server, 0, "responder.ts", scenario, [...AGENT_OPTIONS, "--expose-gc"]);
  const generator = await program(where.client, 1, "generator.ts", scenario);
  const load = async (count: number): Promise<void> => {
    const { failed, reason } = JSON.parse(await generator.ask(String(count))) as Answer;
    if (failed > 0) throw new Error(`${failed} handshakes failed: ${reason}`);
  };
  const cost = async (): Promise<number> => {
    const before = await cpuTime(responder.child.pid ?? 0);
    await load(TAKEN);
    return ((await cpuTime(responder.child.pid ?? 0)) - before) / 1000 / TAKEN;
  };
  const memory = async (): Promise<Memory> => {
    await delay(SETTLE_MS);
    return JSON.parse(await responder.ask("memory")) as Memory;
  };
  try {
    await load(WARM_UP);
    await responder.ask("renew");
    await responder.ask("collect");
    const none = await memory();
    await load(FEW - TAKEN / 2);
    const few = await cost();
    await load(MANY - FEW - TAKEN);
    const many = await cost();
    const full = await memory();
    await responder.ask("collect");
    const collected = await memory();
    if (options.snapshot) await responder.ask(`snapshot ${options.snapshot}`);
    const each = (after: Memory, what: "rss" | "heapUsed" | "external") => (after[what] - none[what]) / full.ikeSas;
    const held = each(collected, "heapUsed") + each(collected, "external");
    const kib = (octets: number) => (octets / 1024).toFixed(1);
    say(
      `${name}: ${full.ikeSas} IKE SAs, ${kib(each(full, "rss"))} KiB each (${kib(each(collected, "rss"))} after a collection, of which objects ${kib(held)}), a handshake ${few.toFixed(0)} µs among ${FEW}, ${many.toFixed(0)} µs among ${MANY}`,
    );
    return { rss: each(full, "rss"), collected: each(collected, "rss"), held, few, many };
  } finally {
    await endProcess(generator.child);
    await endProcess(responder.child);
  }
}

const rounds: Round[] = [];
await layOut(where);
try {
  for (let round = 1; round <= Number(options.rounds); round++) rounds.push(await measure(`round ${round}`));
} finally {
  await remove(where);
}

const kib = (values: readonly number[]) => (median(values) / 1024).toFixed(1);
const samples = (values: readonly number[], digits: number, unit: number) =>
  values.map((v) => (v / unit).toFixed(digits)).join(", ");
const few = rounds.map((r) => r.few);
const many = rounds.map((r) => r.many);
const ratio = median(many) / median(few);
const rss = rounds.map((r) => r.rss);
const collected = rounds.map((r) => r.collected);
const held = rounds.map((r) => r.held);
const primitives = 1e6 / measureLimit(scenario).perSecond;
const table = [
  ["what", "median", "bar", "samples"],
  [`RSS for each of ${MANY} IKE SAs, KiB`, kib(rss), `≤ ${BARS.memory}`, samples(rss, 1, 1024)],
  ["the same after a full collection, KiB", kib(collected), "", samples(collected, 1, 1024)],
  ["of which objects and buffers take, KiB", kib(held), "", samples(held, 1, 1024)],
  [`a handshake among ${FEW} IKE SAs, µs of CPU time`, median(few).toFixed(0), "", samples(few, 0, 1)],
  [`a handshake among ${MANY} IKE SAs, µs of CPU time`, median(many).toFixed(0), "", samples(many, 0, 1)],
  ["its cryptography alone, µs", primitives.toFixed(0), "", ""],
  ["a handshake among many by one among few", ratio.toFixed(2), `≤ ${BARS.cost}`, ""],
];
const notes = [
  "The agent's engine host, timers, transport, crypto and what the kernel's adapter keeps of each SA and policy; the kernel itself is left out. Road warriors: each has an identity, an inner address, policies and a route of its own. RSS of the whole process, less that of the same process without an SA, with the JIT compiler's work done.",
  `The handshakes among ${FEW} follow a renewed engine and a forced collection, those among ${MANY} do not, which makes the former dearer: the bar is against growth.`,
];
for (const row of table) say(row.join("  "));
const ok = median(rss) / 1024 <= BARS.memory && ratio <= BARS.cost;
console.log(JSON.stringify({ bench: "memory", ok, bars: BARS, sas: MANY, table, notes, rounds }));
process.exitCode = ok ? 0 : 1;
