/**
 * How long the agent's event loop is held by telling of 20,000 IKE SAs of one tunnel, to the control plane and at the control socket.
 *
 * `node bench/reports/main.ts [--sas 20000]`
 */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { CONTROL_PLANE_NAME } from "@sallyport/contract";
import { type ConnectionIntent, type GatewayIntent, Secret, serializeIntent } from "@sallyport/intent";
import { createAuthority, endProcess, eventually, layOut, remove, spawnIn } from "@sallyport/testkit";
import type { Answer } from "../ike/generator.ts";
import { AGENT_OPTIONS, credentials, median, place, program } from "../ike/lab.ts";
import { CLIENT, ESP_PROPOSAL, ikeProposal, PORTS, type Scenario, SERVER } from "../ike/scenario.ts";
import type { Heard, Settings } from "./control-plane.ts";
import type { Held } from "./probe.ts";

const root = path.resolve(import.meta.dirname, "../..");
/** The agent is compiled; its types are those of its source. */
const [{ EnrolmentStore, IntentStore }, { ask }, { controlSocketPath }] = (await Promise.all(
  ["store/index", "daemon/control-socket", "daemon/daemon"].map(
    (name) => import(new URL(`../../apps/agent/dist/${name}.js`, import.meta.url).href),
  ),
)) as [
  typeof import("../../apps/agent/src/store/index.ts"),
  typeof import("../../apps/agent/src/daemon/control-socket.ts"),
  typeof import("../../apps/agent/src/daemon/daemon.ts"),
];

const { values: options } = parseArgs({ options: { sas: { type: "string", default: "20000" } } });
const SAS = Number(options.sas);
const CHANGED = 100;
/** What can be done again is done so often. */
const ROUNDS = 3;
/** Milliseconds that the event loop may be held: in the median of the rounds, and in any of them. */
const BARS = { median: 20, longest: 50 };
const PORT = 8444;
const say = (text: string) => console.error(text);

const scenario: Scenario = {
  group: "x25519",
  auth: "psk",
  clients: "many",
  dataPlane: "userspace",
  limits: "default",
  ...(await credentials("psk")),
};
const connection: ConnectionIntent = {
  id: "bench",
  name: "bench",
  role: "responder",
  remote: { ports: PORTS },
  ikeProposals: [ikeProposal(scenario.group)],
  local: {
    method: "psk",
    identity: { type: "fqdn", value: SERVER.id },
    keyId: "psk",
    secret: new Secret(scenario.secret),
  },
  peer: { method: "psk", identity: { type: "any" }, keyId: "psk", secret: new Secret(scenario.secret) },
  ikeRekeySeconds: 14_400,
  dpd: { intervalSeconds: 0 },
  uniqueness: "keep",
  natKeepaliveSeconds: 0,
  forceEncapsulation: true,
  // The callers answer nothing any more once they are connected.
  retransmission: { initialMilliseconds: 500, backoff: 1.5, longestMilliseconds: 1_000, tries: 1 },
  children: [
    {
      ...{ id: "net", name: "net", mode: "tunnel", rekeySeconds: 14_400, startAction: "none" },
      ...{ localSubnets: [SERVER.subnet], remoteSubnets: ["10.128.0.0/9"], espProposals: [ESP_PROPOSAL] },
    },
  ],
};
const intent: GatewayIntent = {
  ...{ schema: 1, revision: 1, gateway: { id: "bench", name: "bench" }, ports: PORTS, trustAnchors: [] },
  identity: { type: "fqdn", value: SERVER.id },
  connections: [connection],
  options: { commitConfirmSeconds: 60, reportSeconds: 5 },
};

/** What an enrolled agent finds at its start, and what its control plane needs. */
async function enrol(state: string): Promise<Settings> {
  const authority = await createAuthority("bench", "ecdsa");
  const [control, agent] = await Promise.all([
    authority.issue(CONTROL_PLANE_NAME, "ecdsa"),
    authority.issue("bench", "ecdsa"),
  ]);
  await new EnrolmentStore(state).save({
    ...{ format: 1, gatewayId: "bench", gatewayName: "bench", identity: SERVER.id, controlCa: authority.certificate },
    urls: [`https://${CLIENT.address}:${PORT}`],
    control: { privateKey: agent.privateKey, certificates: agent.certificate },
    identities: [{ privateKey: scenario.server.privateKey, certificates: scenario.server.certificate }],
  });
  await new IntentStore(state).save(Buffer.from(serializeIntent(intent)));
  return {
    ...{ address: CLIENT.address, port: PORT, ca: authority.certificate },
    ...{ key: control.privateKey, cert: control.certificate },
  };
}

type Round = Held & Partial<Heard>;

interface Row {
  readonly what: string;
  /** What calls take of the engine is another matter. */
  readonly barred: boolean;
  readonly rounds: readonly Round[];
}

const where = place("rep");
const state = await mkdtemp(path.join(tmpdir(), "sallyport-bench-"));

function startAgent(): ChildProcess {
  const flags = [...AGENT_OPTIONS, "--import", path.join(import.meta.dirname, "probe.ts")];
  const agent = [path.join(root, "apps/agent/bin/sallyport-agent.js"), "run", "--state", state];
  const args = ["-c", "0", process.execPath, ...flags, ...agent, "--data-plane", "userspace", "--log-level", "warn"];
  return spawnIn(where.server, "taskset", args, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
}

async function measure(): Promise<Row[]> {
  const controlPlane = await program(where.client, 1, "../reports/control-plane.ts", await enrol(state));
  const generator = await program(where.client, 1, "generator.ts", scenario);
  const agent = startAgent();
  const rows: Row[] = [];
  const tell = async <T>(command: string) => JSON.parse(await controlPlane.ask(command)) as T;
  const held = async (): Promise<Held> => {
    agent.send("held");
    return ((await once(agent, "message")) as [Held])[0];
  };
  const load = async (count: number): Promise<void> => {
    const { failed, reason } = JSON.parse(await generator.ask(String(count))) as Answer;
    if (failed > 0) throw new Error(`${failed} handshakes failed: ${reason}`);
  };
  const told = (count: number) =>
    eventually(
      `${count} IKE SAs told`,
      async () => ((await tell<number>("sas")) === count ? true : undefined),
      120_000,
    );
  const completed = () =>
    eventually("a complete report", async () => (await tell<number>("completed")) || undefined, 120_000);
  /** What goes on in `work`, and half a second of rest after it. */
  const during = async (
    what: string,
    work: () => Promise<unknown>,
    { wire = true, barred = true, times = 1 } = {},
  ): Promise<void> => {
    const rounds: Round[] = [];
    while (rounds.length < times) {
      await held();
      await tell("heard");
      await work();
      await delay(500);
      rounds.push({ ...(await held()), ...(wire ? await tell<Heard>("heard") : {}) });
    }
    const row = { what, barred, rounds };
    say(JSON.stringify(row));
    rows.push(row);
  };
  const control = (command: string, text: boolean) => ask(controlSocketPath(state), { command, text });
  try {
    await eventually("the agent", async () => {
      const { state } = (await control("status", false)) as { state: string };
      return state === "running" || undefined;
    });
    await during(
      `${SAS - CHANGED} IKE SAs come up`,
      async () => {
        await load(SAS - CHANGED);
        await told(SAS - CHANGED);
      },
      { barred: false },
    );
    await during(
      "a new stream: the first complete report",
      async () => {
        await tell("hangUp");
        await completed();
        await told(SAS - CHANGED);
      },
      { times: ROUNDS },
    );
    await during(`${CHANGED} IKE SAs more`, async () => {
      await load(CHANGED);
      await told(SAS);
    });
    await during(
      "Resync: a complete report again",
      async () => {
        await tell("resync");
        await completed();
        await told(SAS);
      },
      { times: ROUNDS },
    );
    await during("counters, for 12 s", () => delay(12_000));
    for (const command of ["status", "sas"]) {
      for (const text of [false, true]) {
        await during(`\`${command}\` at the control socket, ${text ? "text" : "JSON"}`, () => control(command, text), {
          wire: false,
          times: ROUNDS,
        });
      }
    }
    await during("`down` of the tunnel", () => ask(controlSocketPath(state), { command: "down", tunnel: "bench" }), {
      wire: false,
    });
    await during("all of them are gone", () => told(0));
    return rows;
  } finally {
    await endProcess(agent, "SIGTERM", 30_000);
    await endProcess(generator.child);
    await endProcess(controlPlane.child);
  }
}

await layOut(where);
let rows: Row[] = [];
try {
  rows = await measure();
} finally {
  await remove(where);
  await rm(state, { recursive: true });
}

const ms = (value: number) => value.toFixed(1);
const ofRounds = (rounds: readonly Round[], of: (round: Round) => number) => ms(Math.max(...rounds.map(of)));
const table = [
  [
    ...["what", "rounds", "held ms, median", "bar", "longest", "bar", "longest seen"],
    ...["collection ms, young", "collection ms, all", "messages", "KiB", "largest KiB"],
  ],
  ...rows.map(({ what, barred, rounds }) => {
    const [{ messages, octets = 0, largest = 0 } = {}] = rounds;
    return [
      ...[what, String(rounds.length)],
      ...[ms(median(rounds.map((r) => r.own))), barred && rounds.length > 1 ? `≤ ${BARS.median}` : ""],
      ...[ofRounds(rounds, (r) => r.own), barred ? `≤ ${BARS.longest}` : "", ofRounds(rounds, (r) => r.seen)],
      ...[ofRounds(rounds, (r) => r.scavenge), ofRounds(rounds, (r) => r.markSweep)],
      ...(messages === undefined ? ["", "", ""] : [String(messages), (octets / 1024).toFixed(0), ms(largest / 1024)]),
    ];
  }),
];
const notes = [
  `The agent as a process with the userspace data plane and ${SAS} IKE SAs of one tunnel, with a CHILD SA each; callers, control plane and the control socket's client are other processes on the other core.`,
  `"held": the longest that its event loop was held between two firings of a timer of 1 ms, by CPU time of its thread, which the bars are for, and as seen by the clock. Collections of garbage are in it, and the longest ones stand by themselves, by the clock.`,
  "No bar for handshakes and the collections of all garbage that they bring about. `down` is answered when every IKE SA has been told, and can be measured once, as what follows it.",
  "Messages of the first round: all that the agent sent meanwhile, events, counters and pings too.",
];
for (const row of table) say(row.join("  "));
const within = ({ barred, rounds }: Row) => {
  const held = rounds.map((r) => r.own);
  return !barred || (Math.max(...held) <= BARS.longest && (held.length === 1 || median(held) <= BARS.median));
};
const ok = rows.every(within);
console.log(JSON.stringify({ bench: "reports", ok, bars: BARS, sas: SAS, table, notes }));
process.exitCode = ok ? 0 : 1;
