/**
 * IKEv2 handshakes a second as responder: our engine under the agent's runner, and Debian's charon, in turn, from one load
 * generator. Each responder has one core, the generator the other.
 *
 * `node bench/handshake/main.ts [--rounds 5] [--only x25519/psk,…] [--profile DIR]`
 */
import { parseArgs } from "node:util";
import { endProcess, layOut, remove, startStrongswan } from "@sallyport/testkit";
import type { Answer } from "../ike/generator.ts";
import {
  AGENT_OPTIONS,
  cpuTime,
  credentials,
  median,
  type Place,
  type Program,
  pin,
  place,
  program,
} from "../ike/lab.ts";
import type { Delay } from "../ike/responder.ts";
import {
  type AuthKind,
  CLIENT,
  CONCURRENCY,
  ESP_PROPOSAL,
  type Group,
  ikeProposal,
  type Scenario,
  SERVER,
} from "../ike/scenario.ts";
import { type Limit, measureLimit } from "./limit.ts";

const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    only: { type: "string" },
    profile: { type: "string" },
  },
});
const rounds = Number(options.rounds);
/**
 * Handshakes of a round, after those that warm up code and caches. SAs stay; kernel-libipsec keeps its own in lists that it walks,
 * so charon is measured while it has few, and starts each round with none.
 */
const COUNTS = { ours: { warmUp: 8000, measured: 1500 }, charon: { warmUp: 100, measured: 300 } };
/** Where nearly all time is the group's own, in worker threads, the compiler has less to gain: a shorter warming up only takes from our figures. */
const WARM_UP_OF_MODP = 3000;
/** Handshakes a second, ours by charon's. */
const BAR = 1;
/** Milliseconds for which the event loop may be held. */
const HELD_BAR = 20;
const GROUPS: readonly Group[] = ["x25519", "ecp256", "modp2048"];
const AUTHS: readonly AuthKind[] = ["psk", "rsa", "ecdsa"];
const say = (text: string) => console.error(text);

interface Sample extends Answer {
  /** Handshakes a second as the generator sees it (its own core may be the limit), and of the responder's CPU time. */
  readonly rate: number;
  readonly perCore: number;
  /** Share of its core that the generator needed: near 1, it is what limits `rate`. */
  readonly generator: number;
  readonly held?: Delay;
}

interface Contestant {
  readonly pid: number;
  readonly generator: number;
  readonly load: (count: number) => Promise<Answer>;
  /** How long the event loop was held, where there is one. */
  readonly held?: () => Promise<Delay>;
  readonly stop: () => Promise<void>;
}

async function sample(c: Contestant, handshakes: number): Promise<Sample> {
  await c.held?.();
  const spent = async () => [await cpuTime(c.pid), await cpuTime(c.generator)] as const;
  const before = await spent();
  const answer = await c.load(handshakes);
  const after = await spent();
  const held = await c.held?.();
  return {
    ...answer,
    rate: answer.done / answer.seconds,
    perCore: (answer.done / (after[0] - before[0])) * 1e9,
    generator: (after[1] - before[1]) / 1e9 / answer.seconds,
    ...(held && { held }),
  };
}

async function ours(scenario: Scenario, where: Place): Promise<Contestant> {
  const flags = options.profile ? ["--cpu-prof", `--cpu-prof-dir=${options.profile}`] : [];
  const responder = await program(where.server, 0, "responder.ts", scenario, [...AGENT_OPTIONS, ...flags]);
  const generator = await program(where.client, 1, "generator.ts", scenario);
  return {
    ...contestant(responder.child.pid ?? 0, generator, () => endProcess(responder.child)),
    held: async () => JSON.parse(await responder.ask("delay")) as Delay,
  };
}

async function charon(scenario: Scenario, where: Place): Promise<Contestant> {
  const auth = scenario.auth === "psk" ? "psk" : "pubkey";
  const certificate = scenario.auth === "psk" ? {} : { certificate: scenario.server.certificate };
  const daemon = await startStrongswan({
    namespace: where.server,
    dataPlane: "kernel-libipsec",
    silent: true,
    // No half-open limits, and tables for thousands of SAs.
    settings: {
      dos_protection: "no",
      ikesa_table_size: "16384",
      ikesa_table_segments: "16",
      half_open_timeout: "60",
    },
    connections: [
      {
        name: "bench",
        localAddress: SERVER.address,
        remoteAddress: "%any",
        proposals: [ikeProposal(scenario.group)],
        local: { auth, id: SERVER.id, ...certificate },
        remote: { auth, id: CLIENT.id },
        children: [{ name: "net", localTs: [SERVER.subnet], remoteTs: [CLIENT.subnet], proposals: [ESP_PROPOSAL] }],
      },
    ],
    ...(scenario.auth === "psk"
      ? { secrets: [{ owners: [SERVER.id, CLIENT.id], secret: scenario.secret }] }
      : { authorities: [scenario.authority], privateKeys: [scenario.server.privateKey] }),
  });
  await pin(daemon.pid, 0);
  const generator = await program(where.client, 1, "generator.ts", scenario);
  return contestant(daemon.pid, generator, () => daemon.stop());
}

function contestant(pid: number, generator: Program, stop: () => Promise<void>): Contestant {
  return {
    pid,
    generator: generator.child.pid ?? 0,
    load: async (count) => JSON.parse(await generator.ask(String(count))) as Answer,
    stop: async () => {
      await endProcess(generator.child);
      await stop();
    },
  };
}

interface Result {
  readonly group: Group;
  readonly auth: AuthKind;
  readonly ours: Figures;
  readonly charon: Figures;
  /** Ours by charon's, handshakes a second that the generator sees. */
  readonly ratio: number;
  /** The same of handshakes a second of CPU time. */
  readonly ratioCpu: number;
  readonly limit: Limit;
}
interface Figures {
  readonly perCore: number;
  readonly rate: number;
  readonly p50: number;
  readonly p99: number;
  readonly failed: number;
  readonly generator: number;
  readonly held: number;
  readonly heldSeen: number;
}

const figures = (samples: readonly Sample[]): Figures => ({
  perCore: median(samples.map((s) => s.perCore)),
  rate: median(samples.map((s) => s.rate)),
  p50: median(samples.map((s) => s.p50)),
  p99: median(samples.map((s) => s.p99)),
  failed: samples.reduce((sum, s) => sum + s.failed, 0),
  generator: median(samples.map((s) => s.generator)),
  held: median(samples.map((s) => s.held?.own ?? 0)),
  heldSeen: median(samples.map((s) => s.held?.seen ?? 0)),
});

const CONTESTANTS = [
  ["ours", ours],
  ["charon", charon],
] as const;

async function compete(scenario: Scenario): Promise<Result> {
  const { group, auth } = scenario;
  const samples: { ours: Sample[]; charon: Sample[] } = { ours: [], charon: [] };
  for (let round = 1; round <= rounds; round++) {
    for (const [name, start] of CONTESTANTS) {
      const where = place(name);
      await layOut(where);
      try {
        const c = await start(scenario, where);
        try {
          const { warmUp, measured } = COUNTS[name];
          const { done, reason } = await c.load(group === "modp2048" ? Math.min(warmUp, WARM_UP_OF_MODP) : warmUp);
          if (done === 0) throw new Error(`no handshake with ${name}: ${reason}`);
          const s = await sample(c, measured);
          samples[name].push(s);
          const held = s.held ? `, event loop held ${s.held.own.toFixed(1)} ms (${s.held.seen.toFixed(0)} seen)` : "";
          const failed = s.failed ? `, ${s.failed} failed: ${s.reason}` : "";
          say(
            `${group} ${auth} round ${round} ${name}: ${s.rate.toFixed(0)}/s seen, ${s.perCore.toFixed(0)}/s a core, p50 ${s.p50.toFixed(1)} ms${held}${failed}`,
          );
        } finally {
          await c.stop();
        }
      } finally {
        await remove(where);
      }
    }
  }
  const [mine, theirs] = [figures(samples.ours), figures(samples.charon)];
  return {
    group,
    auth,
    ours: mine,
    charon: theirs,
    ratio: mine.rate / theirs.rate,
    ratioCpu: mine.perCore / theirs.perCore,
    limit: measureLimit(scenario),
  };
}

const wanted = options.only?.split(",");
const results: Result[] = [];
for (const auth of AUTHS) {
  const theirs = await credentials(auth);
  for (const group of GROUPS) {
    if (wanted && !wanted.includes(`${group}/${auth}`)) continue;
    results.push(await compete({ group, auth, clients: "one", dataPlane: "userspace", limits: "none", ...theirs }));
  }
}

const percent = (share: number) => `${(100 * share).toFixed(0)} %`;
const table = [
  [
    "group",
    "auth",
    "ours /s",
    "charon /s",
    "ratio",
    "ours /s CPU",
    "charon /s CPU",
    "ratio CPU",
    "ours p50 ms",
    "charon p50 ms",
    "generator busy, ours",
    "generator busy, charon",
    "held ms",
    "held ms seen",
    "primitives /s",
    "share of the limit",
  ],
  ...results.map((r) => [
    r.group,
    r.auth,
    ...[r.ours.rate, r.charon.rate].map((n) => n.toFixed(0)),
    r.ratio.toFixed(2),
    ...[r.ours.perCore, r.charon.perCore].map((n) => n.toFixed(0)),
    r.ratioCpu.toFixed(2),
    ...[r.ours.p50, r.charon.p50].map((n) => n.toFixed(1)),
    ...[r.ours.generator, r.charon.generator].map(percent),
    ...[r.ours.held, r.ours.heldSeen].map((n) => n.toFixed(1)),
    r.limit.perSecond.toFixed(0),
    percent(r.ours.perCore / r.limit.perSecond),
  ]),
];
const notes = [
  `IKEv2 responder, ${ikeProposal("x25519").replace("x25519", "GROUP")}, one CHILD SA a handshake, medians of ${rounds} rounds. "/s" is handshakes a second by the clock, which the bar of ${BAR} is for, with ${CONCURRENCY} under way at any time: the generator's core, and for charon its threads' waiting, count there too. "Generator busy" is the share of its core that the generator needed: near 100 % it is the limit, and the responder could do more. "/s CPU" is handshakes a second of the responder's CPU time over all its threads. Every responder has one core for all its threads.`,
  "Both install every SA for good in a data plane in user space and keep a TUN device open: ours is the agent's engine host, transport, crypto and userspace data plane, charon's is kernel-libipsec, without a log. No packet goes through a tunnel.",
  `Not the same for both: ours is measured over ${COUNTS.ours.measured} handshakes after ${COUNTS.ours.warmUp} (${WARM_UP_OF_MODP} with modp2048) that let the JIT compiler work; charon, which needs no warming up, over ${COUNTS.charon.measured} after ${COUNTS.charon.warmUp}, because kernel-libipsec walks lists of its SAs and slows down as they grow. Each round starts with none, and with a generator that has warmed up by itself.`,
  `"held": the longest that our event loop was held between two firings of a timer of 1 ms, median of the rounds: by CPU time of its thread, which the bar of ${HELD_BAR} is for, and as seen by the clock, with the worker threads, the collector's and other programs that had its core meanwhile.`,
  "Primitives: what the cryptography of one handshake alone would allow one core; the share of it is of our handshakes a second of CPU time.",
];
say("");
const widths = table[0]?.map((name) => Math.max(9, name.length + 2)) ?? [];
for (const cells of table) say(cells.map((c, i) => (i < 2 ? c.padEnd(9) : c.padStart(widths[i] ?? 0))).join(""));
for (const note of notes) say(note);
const ok = results.every((r) => r.ratio >= BAR && r.ours.failed === 0 && r.ours.held <= HELD_BAR);
console.log(JSON.stringify({ bench: "handshake", ok, bar: BAR, rounds, counts: COUNTS, table, notes, results }));
process.exitCode = ok ? 0 : 1;
