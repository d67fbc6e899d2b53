/**
 * From a person being revoked to the confirmation of every gateway, with many agents connected: the control plane as a process of its
 * own with its database, agents with real streams over mutual TLS in this one, whose engine does nothing.
 *
 * `node bench/revocation/main.ts [--agents 1000] [--revocations 30]`
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { pino } from "pino";
import { Api } from "../../tools/demo/api.ts";

const { values: options } = parseArgs({
  options: { agents: { type: "string", default: "1000" }, revocations: { type: "string", default: "30" } },
});
const AGENTS = Number(options.agents);
const REVOCATIONS = Number(options.revocations);
const BAR_MS = 1_000;
/** Enrolments at a time. */
const ABREAST = 8;
const WAIT_MS = 30_000;

const root = path.resolve(import.meta.dirname, "../..");
const dist = (name: string) => import(path.join(root, "apps/agent/dist", name, "index.js"));
const [{ enrol }, { EnrolmentStore, IntentStore, RevocationStore }, stream] = (await Promise.all([
  dist("enrol"),
  dist("store"),
  dist("stream"),
])) as [
  typeof import("../../apps/agent/src/enrol/index.ts"),
  typeof import("../../apps/agent/src/store/index.ts"),
  typeof import("../../apps/agent/src/stream/index.ts"),
];
const log = pino({ level: "error" }, pino.destination(2));

/** A port that nobody has. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** The control plane as a process, on its own database; only the first start of a home tells the API's token. */
async function startPlane(home: string, agentsPort: number, roles: string): Promise<Plane> {
  const child = spawn(process.execPath, [path.join(root, "apps/control-plane/dist/main.js")], {
    stdio: ["ignore", "pipe", "inherit"],
    env: {
      PATH: process.env.PATH,
      SALLYPORT_HOME: home,
      SALLYPORT_ROLES: roles,
      SALLYPORT_LISTEN: "127.0.0.1:0",
      SALLYPORT_AGENTS_LISTEN: `127.0.0.1:${agentsPort}`,
      SALLYPORT_LOG_LEVEL: "error",
    },
  });
  let [url, token]: (string | undefined)[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    url ??= /listens on (\S+)/.exec(line)?.[1];
    token ??= /API token\s+(\S+)/.exec(line)?.[1];
    apiToken ??= token;
    if (url && apiToken) return { child, api: new Api(url, apiToken) };
  }
  throw new Error("the control plane did not start");
}

async function stopPlane({ child }: Plane): Promise<void> {
  const gone = once(child, "exit");
  child.kill("SIGTERM");
  await gone;
}

let apiToken: string | undefined;

interface Plane {
  readonly child: ChildProcess;
  readonly api: Api;
}

interface BenchAgent {
  readonly start: () => void;
  readonly stop: () => Promise<void>;
  /** It has its intent, and nothing more is to come. */
  readonly settled: () => boolean;
}

/** One enrolled agent; its stream is not open yet. */
async function enrolAgent(api: Api, home: string, i: number): Promise<BenchAgent> {
  const made = await api.run<{ createSite: { enrolment: { token: string } } }>(
    "mutation createSite($input: CreateSiteInput!) { createSite(input: $input) { enrolment { token } } }",
    { input: { name: `Site ${i}`, subnets: [`10.${i >> 8}.${i & 255}.0/24`], gateway: {} } },
  );
  const state = path.join(home, `agent-${i}`);
  const { token } = made.createSite.enrolment;
  const enrolment = await enrol({ token, store: new EnrolmentStore(state), agentVersion: "0.0.0" });
  const reporter = new stream.Reporter();
  const intents = new stream.IntentKeeper({
    store: new IntentStore(state),
    reporter,
    log,
    apply: async () => {},
    clear: async () => {},
  });
  const revocations = new stream.RevocationKeeper({
    store: new RevocationStore(state),
    reporter,
    log,
    apply: async () => new Map(),
  });
  const channel = new stream.ControlChannel({
    enrolment: () => enrolment,
    agentVersion: "0.0.0",
    dataPlane: {
      kind: "userspace",
      encryption: [],
      integrity: [],
      esn: true,
      udpEncapsulation: true,
      kernelRelease: "",
    },
    intents,
    revocations,
    reporter,
    restart: async (sasApart) => void [...reporter.restart(new Map(), sasApart)],
    resync: async () => void [...reporter.resync(new Map())],
    onCommand: async () => undefined,
    log,
  });
  return {
    start: () => channel.start(),
    stop: () => channel.stop(),
    settled: () => channel.connected && intents.confirmed > 0,
  };
}

interface Entry {
  readonly confirmations: {
    readonly edges: readonly { readonly node: { readonly confirmedAt: string | null } }[];
    readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string };
  };
}

/** When each gateway that has confirmed it did, milliseconds since 1970. */
async function confirmedAt(api: Api, id: string): Promise<number[]> {
  const times: number[] = [];
  for (let after: string | undefined; ; ) {
    const { revocation } = await api.run<{ revocation: Entry }>(
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

async function createPerson(api: Api, i: number): Promise<string> {
  const { createRoadWarrior } = await api.run<{ createRoadWarrior: { id: string } }>(
    "mutation createRoadWarrior($input: CreateRoadWarriorInput!) { createRoadWarrior(input: $input) { id } }",
    { input: { name: `Person ${i}`, username: `person${i}@acme.example` } },
  );
  return createRoadWarrior.id;
}

/** Milliseconds from the mutation to the confirmation of each gateway, by the one clock of this machine. */
async function revoke(api: Api, person: string): Promise<number[]> {
  const began = Date.now();
  const { revokeRoadWarrior } = await api.run<{ revokeRoadWarrior: { roadWarrior: { revocation: { id: string } } } }>(
    "mutation revokeRoadWarrior($input: RevokeRoadWarriorInput!) { revokeRoadWarrior(input: $input) { roadWarrior { revocation { id } } } }",
    { input: { id: person } },
  );
  const answered = Date.now() - began;
  const { id } = revokeRoadWarrior.roadWarrior.revocation;
  for (;;) {
    // Reading a thousand confirmations is work of its own: not while they are being written.
    await sleep(2_000);
    const at = await confirmedAt(api, id);
    const times = at.map((time) => time - began);
    if (times.length === AGENTS) {
      times.sort((a, b) => a - b);
      console.error(`answered after ${answered} ms, confirmed after ${times[0]} to ${times.at(-1)} ms`);
      return times;
    }
    if (Date.now() - began > WAIT_MS) throw new Error(`${times.length} of ${AGENTS} gateways have confirmed`);
  }
}

const home = await mkdtemp(path.join(tmpdir(), "sallyport-revocation-"));
const agentsPort = await freePort();
// Enrolled without anybody compiling after each, then started anew, whole.
let plane = await startPlane(path.join(home, "plane"), agentsPort, "api,agents");
const agents: BenchAgent[] = [];
const times: number[] = [];
try {
  let next = 0;
  await Promise.all(
    Array.from({ length: ABREAST }, async () => {
      while (next < AGENTS) agents.push(await enrolAgent(plane.api, home, next++));
    }),
  );
  console.error(`${agents.length} agents are enrolled after ${Math.round(performance.now() / 1000)} s`);
  const people: string[] = [];
  for (let i = 0; i < REVOCATIONS; i++) people.push(await createPerson(plane.api, i));
  await stopPlane(plane);
  plane = await startPlane(path.join(home, "plane"), agentsPort, "api,agents,jobs");
  for (const agent of agents) agent.start();
  while (!agents.every((agent) => agent.settled())) await sleep(100);
  console.error(`they are connected after ${Math.round(performance.now() / 1000)} s`);
  for (const person of people) times.push(...(await revoke(plane.api, person)));
} finally {
  await Promise.all(agents.map((agent) => agent.stop()));
  await stopPlane(plane);
  await rm(home, { recursive: true, force: true });
}

times.sort((a, b) => a - b);
const at = (share: number) => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? Number.NaN;
const ok = at(0.99) <= BAR_MS;
const table = [
  ["what", "measured", "bar"],
  [`confirmations of ${AGENTS} agents, ${REVOCATIONS} revocations`, String(times.length), ""],
  ["from mutation to confirmation, median, ms", String(at(0.5)), ""],
  ["the same, 99th percentile, ms", String(at(0.99)), `≤ ${BAR_MS}`],
  ["the same, slowest, ms", String(at(1)), ""],
];
const notes = [
  "Agents are streams over mutual TLS with the agent's own keeper of revocations, which writes its file; their engines end nothing. All share the machine with control plane and database.",
];
for (const row of table) console.error(row.join("  "));
console.log(JSON.stringify({ bench: "revocation", ok, table, notes }));
process.exitCode = ok ? 0 : 1;
