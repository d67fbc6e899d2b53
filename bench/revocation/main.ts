/**
 * From a person being revoked to the confirmation of every gateway, with many agents connected: the control plane as a process of its
 * own with its database, agents with real streams over mutual TLS in this one, whose engine does nothing. Before it, how long the same
 * streams take for a message and its answer alone.
 *
 * `node bench/revocation/main.ts [--agents 1000] [--revocations 10]`
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { CONTROL_PLANE_NAME } from "@sallyport/contract";
import { createAuthority, endProcess } from "@sallyport/testkit";
import type { Api } from "../../tools/demo/api.ts";
import { ADD_EXTERNAL_PEER } from "../../tools/demo/operations.ts";
import type { Held } from "../reports/probe.ts";
import { databaseOf, describeSites, enrolAll, type SimulatedAgent, writeTimes } from "./fleet.ts";
import type { Settings } from "./limit.ts";
import { Plane } from "./plane.ts";

const { values: options } = parseArgs({
  options: { agents: { type: "string", default: "1000" }, revocations: { type: "string", default: "10" } },
});
const AGENTS = Number(options.agents);
const ROUNDS = Number(options.revocations);
/** Milliseconds: until 99 of 100 gateways have confirmed, and that the control plane's event loop may be held. */
const BARS = { confirmed: 1_000, held: 50 };
/** Streams that are being opened at a time. */
const ABREAST = 32;
const WAIT_MS = 30_000;
/** Between two rounds: what the one before left to do is done. */
const REST_MS = 3_000;
const MEMORY = "/dev/shm";

const say = (text: string) => console.error(`${(performance.now() / 1000).toFixed(1).padStart(6)} s  ${text}`);
const sorted = (values: readonly number[]) => values.toSorted((a, b) => a - b);
const at = (values: readonly number[], share: number) =>
  sorted(values)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? Number.NaN;
const median = (values: readonly number[]) => at(values, 0.5);

/** Opens the stream of each: a few at a time, since all their handshakes have one core. */
async function connect(agents: readonly SimulatedAgent[], open: (agent: SimulatedAgent) => void): Promise<void> {
  const waiting = agents.values();
  const some = async () => {
    for (const agent of waiting) {
      open(agent);
      while (!agent.connected) await sleep(10);
    }
  };
  await Promise.all(Array.from({ length: ABREAST }, some));
}

/** What the bare streams take: milliseconds from the question to the answer of each agent, by round. */
async function limit(agents: readonly SimulatedAgent[]): Promise<number[][]> {
  const authority = await createAuthority("limit", "ecdsa");
  const server = await authority.issue(CONTROL_PLANE_NAME, "ecdsa");
  const child = spawn(process.execPath, [path.join(import.meta.dirname, "limit.ts")], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ask = async (line: string) => {
    child.stdin.write(`${line}\n`);
    const { value, done } = await lines.next();
    if (done) throw new Error("the bare control plane ended");
    return JSON.parse(value);
  };
  try {
    const ca = agents[0]?.enrolment.controlCa ?? "";
    const settings: Settings = { key: server.privateKey, cert: server.certificate, ca };
    const port: number = await ask(JSON.stringify(settings));
    const there = { urls: [`https://127.0.0.1:${port}`], controlCa: authority.certificate };
    await connect(agents, (agent) => agent.connect({ ...agent.enrolment, ...there }));
    const rounds: number[][] = [];
    for (let i = 0; i < ROUNDS; i++) rounds.push(await ask("ask"));
    return rounds;
  } finally {
    await Promise.all(agents.map((agent) => agent.disconnect()));
    await endProcess(child);
  }
}

async function createPerson(api: Api, i: number): Promise<string> {
  const { createRoadWarrior } = await api.run<{ createRoadWarrior: { id: string } }>(
    "mutation createRoadWarrior($input: CreateRoadWarriorInput!) { createRoadWarrior(input: $input) { id } }",
    { input: { name: `Person ${i}`, username: `person${i}@acme.example` } },
  );
  return createRoadWarrior.id;
}

/** Milliseconds from the mutation. */
interface Round {
  readonly answered: number;
  /** Of each agent. */
  readonly told: readonly number[];
  readonly written: readonly number[];
  readonly confirmed: readonly number[];
  /** A subscriber was told that every gateway has confirmed. */
  readonly complete: number;
  /** Of the control plane's event loop: CPU time, and by the clock. */
  readonly held: number;
  readonly heldSeen: number;
}

interface Confirmations {
  readonly edges: readonly { readonly node: { readonly confirmedAt: string | null } }[];
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string };
}

/** When each gateway has confirmed, milliseconds since 1970. */
async function confirmedAt(api: Api, id: string): Promise<number[]> {
  const times: number[] = [];
  for (let after: string | undefined; ; ) {
    const { revocation } = await api.run<{ revocation: { confirmations: Confirmations } }>(
      `query revocation($id: ID!, $after: String) {
        revocation(id: $id) { confirmations(first: 200, after: $after) { edges { node { confirmedAt } } pageInfo { hasNextPage endCursor } } } }`,
      { id, after },
    );
    const { edges, pageInfo } = revocation.confirmations;
    times.push(...edges.flatMap(({ node }) => (node.confirmedAt ? [Date.parse(node.confirmedAt)] : [])));
    if (!pageInfo.hasNextPage) return times;
    after = pageInfo.endCursor;
  }
}

/** Resolves when a subscriber is told that all have confirmed. */
async function complete(api: Api, id: string): Promise<void> {
  const stories = api.subscribe<{ revocationConfirmed: { progress: { completeAt: string | null } } }>(
    "subscription ($id: ID!) { revocationConfirmed(id: $id) { progress { completeAt } } }",
    { id },
    AbortSignal.timeout(WAIT_MS),
  );
  for await (const { revocationConfirmed } of stories) if (revocationConfirmed.progress.completeAt) return;
  throw new Error("not every gateway has confirmed");
}

async function revoke(plane: Plane, agents: readonly SimulatedAgent[], person: string): Promise<Round> {
  const { api } = plane;
  await plane.held();
  const [began, wall] = [performance.now(), Date.now()];
  const since = () => performance.now() - began;
  const { revokeRoadWarrior } = await api.run<{ revokeRoadWarrior: { roadWarrior: { revocation: { id: string } } } }>(
    "mutation revokeRoadWarrior($input: RevokeRoadWarriorInput!) { revokeRoadWarrior(input: $input) { roadWarrior { revocation { id } } } }",
    { input: { id: person } },
  );
  const answered = since();
  const { id } = revokeRoadWarrior.roadWarrior.revocation;
  await complete(api, id);
  const whole = since();
  await sleep(REST_MS);
  const { own: held, seen: heldSeen } = await plane.held();
  const round = {
    ...{ answered, complete: whole, held, heldSeen },
    told: agents.map(({ passed }) => passed.told - began),
    written: agents.map(({ passed }) => passed.written - began),
    confirmed: (await confirmedAt(api, id)).map((time) => time - wall),
  };
  const last = (values: readonly number[]) => Math.round(Math.max(...values));
  say(
    `answered ${Math.round(answered)} ms, told by ${last(round.told)}, written by ${last(round.written)}, confirmed by ${last(round.confirmed)} (median ${Math.round(median(round.confirmed))}), shown ${Math.round(whole)}, held ${held.toFixed(1)} (${heldSeen.toFixed(1)} seen)`,
  );
  return round;
}

const SAS = 20_000;
const REPORTS = 3;

/** How long the control plane's event loop is held when one gateway, the `n`th that does, tells of its SAs, until all of them are in the database. */
async function reportSas(plane: Plane, agent: SimulatedAgent, n: number): Promise<Held> {
  await plane.api.run(ADD_EXTERNAL_PEER, {
    input: {
      name: `Partner ${n}`,
      gatewayId: agent.enrolment.gatewayId,
      host: `198.51.100.${n}`,
      remoteIdentity: `partner-${n}.example`,
      preSharedKey: "correct horse battery staple",
      subnets: [`192.168.${n}.0/24`],
    },
  });
  while (!agent.tunnel) await sleep(50);
  await sleep(REST_MS);
  await plane.held();
  const database = await databaseOf(plane);
  try {
    await agent.report(agent.tunnel, SAS);
    for (let written = 0; written < n * SAS; await sleep(200)) {
      written = (await database.query("SELECT count(*)::int AS n FROM ike_sas")).rows[0].n;
    }
  } finally {
    await database.end();
  }
  return plane.held();
}

const home = await mkdtemp(path.join(tmpdir(), "sallyport-revocation-"));
const disks = await mkdtemp(path.join(existsSync(MEMORY) ? MEMORY : tmpdir(), "sallyport-revocation-"));
const plane = new Plane(path.join(home, "plane"));
let agents: SimulatedAgent[] = [];
let closing: Promise<void> | undefined;
const close = () => (closing ??= end());
async function end(): Promise<void> {
  await Promise.all(agents.map((agent) => agent.disconnect()));
  await plane.stop();
  await rm(home, { recursive: true, force: true });
  await rm(disks, { recursive: true, force: true });
}
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => void close().finally(() => process.exit(1)));
let bare: number[][] = [];
const rounds: Round[] = [];
let writing: number[] = [];
const reporting: Held[] = [];
try {
  // Enrolled without anybody compiling after each, then started anew, whole.
  await plane.start("api,agents");
  agents = await enrolAll(disks, await describeSites(plane, AGENTS));
  say(`${agents.length} agents are enrolled`);
  const people: string[] = [];
  for (let i = 0; i < ROUNDS; i++) people.push(await createPerson(plane.api, i));
  await plane.stop();
  bare = await limit(agents);
  say(`bare streams: the last answer after ${bare.map((times) => Math.round(Math.max(...times))).join(", ")} ms`);
  writing = await writeTimes(home, 50);
  await plane.start("api,agents,jobs");
  await connect(agents, (agent) => agent.connect(agent.enrolment));
  say("they are connected");
  while (!agents.every((agent) => agent.hasIntent)) await sleep(50);
  say("they have their intents");
  await sleep(REST_MS);
  for (const person of people) rounds.push(await revoke(plane, agents, person));
  for (const [n, agent] of agents.slice(0, REPORTS).entries()) {
    reporting.push(await reportSas(plane, agent, n + 1));
    say(`${SAS} IKE SAs are reported`);
  }
} finally {
  await close();
}

const ms = (value: number) => String(Math.round(value));
/** Of what has a time for each agent: median and 99th percentile over all rounds, and the slowest of all. */
const spread = (values: readonly number[]) => [0.5, 0.99, 1].map((share) => ms(at(values, share)));
const all = (part: "told" | "written" | "confirmed") => rounds.flatMap((round) => round[part]);
const own = rounds.map((round) => round.held);
const p99 = at(all("confirmed"), 0.99);
const reportingOwn = reporting.map((held) => held.own);
const ok = p99 <= BARS.confirmed && Math.max(...own) <= BARS.held && median(reportingOwn) <= BARS.held;
const table = [
  ["milliseconds from the mutation", "median", "p99", "slowest", "bar"],
  ["the mutation is answered", ...spread(rounds.map((r) => r.answered)), ""],
  ["an agent is told", ...spread(all("told")), ""],
  ["it has applied and written it", ...spread(all("written")), ""],
  ["the control plane has heard so", ...spread(all("confirmed")), `p99 ≤ ${BARS.confirmed}`],
  ["a subscriber is told that all have confirmed", ...spread(rounds.map((r) => r.complete)), ""],
  ["limit: a message and its answer over the same streams", ...spread(bare.flat()), ""],
  ["share of the limit, p99", "", `${Math.round((at(bare.flat(), 0.99) / p99) * 100)} %`, "", ""],
  ["the control plane's event loop is held, CPU time", ...spread(own), `≤ ${BARS.held}`],
  ["the same, as the clock sees it", ...spread(rounds.map((r) => r.heldSeen)), ""],
  [`it is held while a gateway tells of ${SAS} IKE SAs, CPU time`, ...spread(reportingOwn), `median ≤ ${BARS.held}`],
  ["the same, as the clock sees it", ...spread(reporting.map((held) => held.seen)), ""],
];
const notes = [
  `${AGENTS} agents, ${ROUNDS} revocations of a person one after the other; control plane with its jobs, PostgreSQL and all agents share the machine's cores.`,
  "An agent is here a stream over mutual TLS with the agent's own channel and keeper of revocations, enrolled through the control plane; its engine does nothing, and all agents are one process. What it writes, with its fsync, goes to memory: on a real gateway the disk is its own, and is not waited for by 1,000 others. " +
    `Written to this machine's disk, one after the other, one takes ${median(writing).toFixed(1)} ms.`,
  "The limit is a program that does nothing but send each stream a message and read the answer, which costs the agents nothing either.",
  `“Held”: the longest of a round between two firings of a timer of 1 ms, in the 3 s after the last confirmation too, when intents are compiled; the columns are over the rounds, and over the ${REPORTS} gateways that tell of SAs.`,
];
for (const row of table) console.error(row.join("  "));
console.log(JSON.stringify({ bench: "revocation", ok, bars: BARS, table, notes }));
process.exitCode = ok ? 0 : 1;
