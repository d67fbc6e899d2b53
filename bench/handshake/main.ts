/**
 * IKEv2 handshakes a second as responder: our engine under the agent's runner, and Debian's charon, in turn, from one load
 * generator. Each responder has one core, the generator the other.
 *
 * `node bench/handshake/main.ts [--rounds 5] [--profile DIR]`
 */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import {
  createAuthority,
  endProcess,
  layOut,
  remove,
  spawnIn,
  startStrongswan,
  type Topology,
} from "@sallyport/testkit";
import type { Answer } from "./generator.ts";
import { type Limit, measureLimit } from "./limit.ts";
import { type AuthKind, CLIENT, CONCURRENCY, ESP_PROPOSAL, IKE_PROPOSAL, type Scenario, SERVER } from "./scenario.ts";

const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    profile: { type: "string" },
  },
});
const rounds = Number(options.rounds);
/**
 * Handshakes of a round, after those that warm up code and caches. SAs stay; kernel-libipsec keeps its own in lists that it walks,
 * so charon is measured while it has few, and starts each round with none.
 */
const COUNTS = { ours: { warmUp: 1500, measured: 1500 }, charon: { warmUp: 100, measured: 300 } };
const BAR = 0.5;
const here = import.meta.dirname;
const say = (text: string) => console.error(text);

/** A responder at one end of a cable, a generator at the other. */
function pair(name: string): Topology & { readonly server: string; readonly client: string } {
  const [server, client] = [`spb-${name}-r`, `spb-${name}-g`];
  return {
    server,
    client,
    // charon's route through its TUN device wants an address of its own as source.
    namespaces: [{ name: server, loopback: [`${SERVER.inner}/32`] }, { name: client }],
    cables: [
      [
        { namespace: server, device: `spb-${name}-r0`, addresses: [`${SERVER.address}/24`] },
        { namespace: client, device: `spb-${name}-g0`, addresses: [`${CLIENT.address}/24`] },
      ],
    ],
  };
}

/** A program of this folder that talks in lines; resolves when it is ready. */
async function program(
  namespace: string,
  core: number,
  file: string,
  scenario: Scenario,
  flags: readonly string[] = [],
) {
  const args = ["-c", String(core), process.execPath, ...flags, path.join(here, file)];
  const child = spawnIn(namespace, "taskset", args, { stdio: ["pipe", "pipe", "inherit"] });
  if (!child.stdin || !child.stdout) throw new Error(`${file} has no pipes`);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const { stdin } = child;
  const ask = async (line: string) => {
    stdin.write(`${line}\n`);
    const { value, done } = await lines.next();
    if (done) throw new Error(`${file} ended`);
    return value;
  };
  await ask(JSON.stringify(scenario));
  return { child, ask };
}

/** CPU time of a process in nanoseconds, over all of its threads. */
async function cpuTime(pid: number): Promise<number> {
  let total = 0;
  for (const task of await readdir(`/proc/${pid}/task`)) {
    const text = await readFile(`/proc/${pid}/task/${task}/schedstat`, "utf8").catch(() => "0");
    total += Number(text.split(" ")[0]);
  }
  return total;
}

interface Sample extends Answer {
  /** Handshakes a second as the generator sees it (its own core may be the limit), and of the responder's CPU time. */
  readonly rate: number;
  readonly perCore: number;
}

interface Contestant {
  readonly pid: number;
  readonly load: (count: number) => Promise<Answer>;
  readonly stop: () => Promise<void>;
}

async function sample(c: Contestant, handshakes: number): Promise<Sample> {
  const before = await cpuTime(c.pid);
  const answer = await c.load(handshakes);
  const seconds = ((await cpuTime(c.pid)) - before) / 1e9;
  return { ...answer, rate: answer.done / answer.seconds, perCore: answer.done / seconds };
}

async function ours(scenario: Scenario, where: ReturnType<typeof pair>): Promise<Contestant> {
  const flags = options.profile ? ["--cpu-prof", `--cpu-prof-dir=${options.profile}`] : [];
  const responder = await program(where.server, 0, "responder.ts", scenario, flags);
  const generator = await program(where.client, 1, "generator.ts", scenario);
  return contestant(responder.child.pid ?? 0, generator, () => endProcess(responder.child));
}

async function charon(scenario: Scenario, where: ReturnType<typeof pair>): Promise<Contestant> {
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
        proposals: [IKE_PROPOSAL],
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

function contestant(
  pid: number,
  generator: { child: ChildProcess; ask: (line: string) => Promise<string> },
  stop: () => Promise<void>,
): Contestant {
  return {
    pid,
    load: async (count) => JSON.parse(await generator.ask(String(count))) as Answer,
    stop: async () => {
      await endProcess(generator.child);
      await stop();
    },
  };
}

async function pin(pid: number, core: number): Promise<void> {
  const [code] = await once(
    spawn("taskset", ["-a", "-c", "-p", String(core), String(pid)], { stdio: "ignore" }),
    "exit",
  );
  if (code !== 0) throw new Error(`cannot pin ${pid} to core ${core}`);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

interface Result {
  readonly auth: AuthKind;
  readonly ours: Figures;
  readonly charon: Figures;
  /** Ours by charon's, handshakes a second of CPU time. */
  readonly ratio: number;
  /** The same of the handshakes a second that the generator sees. */
  readonly ratioSeen: number;
  readonly limit: Limit;
}
interface Figures {
  readonly perCore: number;
  readonly rate: number;
  readonly p50: number;
  readonly p99: number;
  readonly failed: number;
}

const figures = (samples: readonly Sample[]): Figures => ({
  perCore: median(samples.map((s) => s.perCore)),
  rate: median(samples.map((s) => s.rate)),
  p50: median(samples.map((s) => s.p50)),
  p99: median(samples.map((s) => s.p99)),
  failed: samples.reduce((sum, s) => sum + s.failed, 0),
});

async function compete(auth: AuthKind, credentials: Omit<Scenario, "auth">): Promise<Result> {
  const scenario = { auth, ...credentials };
  const samples: { ours: Sample[]; charon: Sample[] } = { ours: [], charon: [] };
  for (let round = 1; round <= rounds; round++) {
    for (const [name, start] of [
      ["ours", ours],
      ["charon", charon],
    ] as const) {
      const where = pair(name);
      await layOut(where);
      try {
        const c = await start(scenario, where);
        try {
          const { done, reason } = await c.load(COUNTS[name].warmUp);
          if (done === 0) throw new Error(`no handshake with ${name}: ${reason}`);
          const s = await sample(c, COUNTS[name].measured);
          samples[name].push(s);
          say(
            `${auth} round ${round} ${name}: ${s.perCore.toFixed(0)}/s a core, ${s.rate.toFixed(0)}/s seen, p50 ${s.p50.toFixed(1)} ms${s.failed ? `, ${s.failed} failed: ${s.reason}` : ""}`,
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
    auth,
    ours: mine,
    charon: theirs,
    ratio: mine.perCore / theirs.perCore,
    ratioSeen: mine.rate / theirs.rate,
    limit: measureLimit(scenario, auth),
  };
}

const authority = await createAuthority("bench", "ecdsa");
const [server, client] = await Promise.all([authority.issue(SERVER.id, "ecdsa"), authority.issue(CLIENT.id, "ecdsa")]);
const credentials = { secret: randomBytes(24).toString("base64"), authority: authority.certificate, server, client };
const results: Result[] = [];
for (const auth of ["psk", "ecdsa"] as const) results.push(await compete(auth, credentials));

const table = [
  [
    "auth",
    "ours /s CPU",
    "charon /s CPU",
    "ratio",
    "ours /s seen",
    "charon /s seen",
    "ratio seen",
    "ours p50 ms",
    "charon p50 ms",
    "primitives /s",
  ],
  ...results.map((r) => [
    r.auth,
    ...[r.ours.perCore, r.charon.perCore].map((n) => n.toFixed(0)),
    r.ratio.toFixed(2),
    ...[r.ours.rate, r.charon.rate].map((n) => n.toFixed(0)),
    r.ratioSeen.toFixed(2),
    ...[r.ours.p50, r.charon.p50].map((n) => n.toFixed(1)),
    r.limit.perSecond.toFixed(0),
  ]),
];
const notes = [
  `IKEv2 responder, ${IKE_PROPOSAL}, one CHILD SA a handshake, medians of ${rounds} rounds. "/s CPU" is handshakes a second of the responder's CPU time over all its threads, which the bar of ${BAR} is for; "/s seen" is by the clock, with ${CONCURRENCY} under way at any time: the generator's core, and for charon its threads' waiting, count there too.`,
  "Both install every SA for good in a data plane in user space and keep a TUN device open: ours is the agent's engine host, transport, crypto and userspace data plane, charon's is kernel-libipsec, without a log. No packet goes through a tunnel.",
  `Not the same for both: ours is measured over ${COUNTS.ours.measured} handshakes after ${COUNTS.ours.warmUp} that let the JIT compiler work; charon, which needs no warming up, over ${COUNTS.charon.measured} after ${COUNTS.charon.warmUp}, because kernel-libipsec walks lists of its SAs and slows down as they grow. Each round starts with none.`,
  "Primitives: what the cryptography of one handshake alone would allow one core.",
];
say("");
for (const cells of table) say(cells.map((c, i) => (i === 0 ? c.padEnd(8) : c.padStart(15))).join(""));
for (const note of notes) say(note);
const ok = results.every((r) => r.ratio >= BAR && r.ours.failed === 0);
console.log(JSON.stringify({ bench: "handshake", ok, bar: BAR, rounds, counts: COUNTS, table, notes, results }));
process.exitCode = ok ? 0 : 1;
