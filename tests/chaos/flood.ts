import { readFile } from "node:fs/promises";
import path from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import type { ConnectionIntent } from "@sallyport/intent";
import {
  type Agent,
  type AgentStatus,
  eventually,
  layOut,
  markLogs,
  type PingResult,
  remove,
  Stopwatch,
  type Strongswan,
  spawnIn,
  startAgent,
  startPing,
  startStrongswan,
  type Topology,
} from "@sallyport/testkit";
import { connectionIntent, gatewayIntent, Pair, peerConnection, type TunnelCase } from "../interop/lab.ts";

const PSK = "quiet water";
const GATEWAY = "192.0.2.1";

function tunnel(n: number, id: string): TunnelCase {
  return {
    id,
    auth: "psk",
    psk: PSK,
    ours: { name: "gateway.test", address: GATEWAY, subnet: `10.1.${n}.0/24`, host: `10.1.${n}.1` },
    theirs: { name: `${id}.test`, address: `192.0.2.${10 + n}`, subnet: `10.2.${n}.0/24`, host: `10.2.${n}.1` },
    ike: ["aes256-sha256-x25519"],
    esp: ["aes256gcm16-x25519"],
  };
}

const STANDING = tunnel(1, "standing");
const NEWCOMER = tunnel(2, "newcomer");
const TUNNELS = [STANDING, NEWCOMER];
/** Because of it, strangers get as far as cookies and half-open SAs. */
const ANYBODY: ConnectionIntent = {
  ...connectionIntent(tunnel(9, "anybody")),
  role: "responder",
  remote: { ports: { ike: 500, natt: 4500 } },
};

const SAMPLE_MS = 250;
/** What the issue of a flood has to be. Half-open: the threshold of cookies, and those who have shown one. */
export const BARS = { connectMs: 2_000, rssMiB: 200, logLines: 10, lossPct: 1, halfOpen: 260, cpu: 0.5 } as const;

export interface FloodReport {
  /** IKE_SA_INITs that left, and those of which the engine took notice. */
  readonly sent: number;
  readonly perSecond: number;
  readonly seen: number;
  readonly cookies: number;
  /** Datagrams that the agent read and let fall, and those for which its sockets had no room. */
  readonly dropped: number;
  readonly overflown: number;
  /** Most half-open IKE SAs at a time. */
  readonly halfOpen: number;
  /** MiB of RSS before the flood, and the most during it. */
  readonly rssBefore: number;
  readonly rssMost: number;
  /** Share of a core that the gateway took. */
  readonly cpu: number;
  /** Milliseconds from the newcomer's first message to its CHILD SA, for each of its attempts. */
  readonly connects: readonly number[];
  /** Milliseconds that each rekey of the standing tunnel took: begun by the peer, by the gateway; CHILD SA, IKE SA. */
  readonly rekeys: readonly number[];
  /** Through the standing tunnel, over the whole flood. */
  readonly traffic: PingResult;
  /** Lines that the gateway logged during the flood about anything but the two tunnels. */
  readonly logLines: number;
}

/** Names of namespaces and devices begin with `prefix`, so that a test and a benchmark keep apart. */
function topology(prefix: string): Topology & { readonly [name in "gateway" | "peers" | "flood"]: string } {
  const [gateway, peers, flood] = [`${prefix}-gw`, `${prefix}-peers`, `${prefix}-out`];
  return {
    gateway,
    peers,
    flood,
    namespaces: [
      {
        name: gateway,
        loopback: TUNNELS.map((t) => `${t.ours.host}/32`),
        routes: [{ to: "10.64.0.0/10", via: "198.51.100.2" }],
      },
      { name: peers, loopback: TUNNELS.map((t) => `${t.theirs.host}/32`) },
      // Every address of the network is one of this machine's own: they can be sources, and answers to them end here.
      { name: flood, loopback: ["10.64.0.1/10"], routes: [{ to: "192.0.2.0/24", via: "198.51.100.1" }] },
    ],
    cables: [
      [
        { namespace: gateway, device: "lan", addresses: [`${GATEWAY}/24`] },
        { namespace: peers, device: "lan", addresses: TUNNELS.map((t) => `${t.theirs.address}/24`) },
      ],
      [
        { namespace: gateway, device: "wan", addresses: ["198.51.100.1/24"] },
        { namespace: flood, device: "wan", addresses: ["198.51.100.2/24"] },
      ],
    ],
  };
}

async function rssMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
}

/** Datagrams for which the sockets of a process' namespace had no room. */
async function overflown(pid: number): Promise<number> {
  const sockets = (await readFile(`/proc/${pid}/net/udp`, "utf8")).trim().split("\n").slice(1);
  return sockets.reduce((sum, line) => sum + Number(line.trim().split(/\s+/).at(-1)), 0);
}

/** Seconds of CPU time. */
async function cpuSeconds(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, "utf8")).split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const watch = new Stopwatch();
  await work();
  return watch.stop();
}

/** The SPIs of the standing tunnel, as the gateway sees them. */
async function spis(agent: Agent): Promise<{ ike: string; child: number | undefined }> {
  const sas = (await agent.peer(STANDING.id)).sas.filter((sa) => sa.state === "established");
  const sa = sas.find((s) => s.children.some((c) => c.state === "installed")) ?? sas[0];
  return { ike: sa?.spiInitiator ?? "", child: sa?.children.findLast((c) => c.state === "installed")?.spiIn };
}

async function rekeyed(agent: Agent, what: "ike" | "child", begin: () => Promise<unknown>): Promise<number> {
  const before = await spis(agent);
  return timed(async () => {
    await begin();
    await eventually(`the ${what} SA is another one`, async () => {
      const now = await spis(agent);
      return now[what] !== before[what] && now.child !== undefined ? true : undefined;
    });
  });
}

export interface FloodPlan {
  /** Where it goes: 500, or 4500, to which the tunnels' packets go as well. */
  readonly port: 500 | 4500;
  /** Datagrams a second. */
  readonly rate: number;
  readonly seconds: number;
}

interface Lab {
  readonly agent: Agent;
  readonly peer: Strongswan;
  readonly pair: Pair;
  readonly where: ReturnType<typeof topology>;
}

/** What is not as it has to be. */
export function shortfalls(report: FloodReport): string[] {
  const { connects, rekeys, rssMost, logLines, traffic, halfOpen, cpu } = report;
  const slowest = Math.max(...connects);
  return [
    ...(connects.length === 0 || rekeys.length === 0 ? ["the flood was over before a peer had connected"] : []),
    ...(slowest > BARS.connectMs ? [`a peer connected after ${slowest.toFixed(0)} ms`] : []),
    ...(rssMost > BARS.rssMiB ? [`${rssMost.toFixed(0)} MiB of memory`] : []),
    ...(logLines > BARS.logLines ? [`${logLines} lines in the log`] : []),
    ...(traffic.lossPct > BARS.lossPct ? [`${traffic.lossPct} % of packets lost in the standing tunnel`] : []),
    ...(cpu > BARS.cpu ? [`${(100 * cpu).toFixed(0)} % of a core`] : []),
    ...(halfOpen > BARS.halfOpen ? [`${halfOpen} half-open IKE SAs`] : []),
  ];
}

/** Until shortly before `ends`, a newcomer connects over and over, and the standing tunnel is rekeyed in every way. */
async function comings({ agent, peer }: Lab, ends: number): Promise<Pick<FloodReport, "connects" | "rekeys">> {
  const child = `${STANDING.id}-net`;
  const connects: number[] = [];
  const rekeys: number[] = [];
  await delay(2_000);
  while (performance.now() < ends - 5_000) {
    connects.push(await timed(() => peer.initiate(`${NEWCOMER.id}-net`)));
    rekeys.push(await rekeyed(agent, "child", () => peer.rekeyChild(child)));
    rekeys.push(await rekeyed(agent, "child", () => agent.ask("rekey", { tunnel: STANDING.id, child })));
    rekeys.push(await rekeyed(agent, "ike", () => peer.rekeyIke(STANDING.id)));
    rekeys.push(await rekeyed(agent, "ike", () => agent.ask("rekey", { tunnel: STANDING.id })));
    await peer.terminate({ ike: NEWCOMER.id });
    await delay(1_000);
  }
  return { connects, rekeys };
}

async function pressed(lab: Lab, { port, rate, seconds }: FloodPlan): Promise<FloodReport> {
  const { agent, peer, pair, where } = lab;
  const child = `${STANDING.id}-net`;
  await peer.initiate(child);
  await pair.both(STANDING);
  await markLogs();
  const rssBefore = await rssMiB(agent.pid);
  const cpuBefore = await cpuSeconds(agent.pid);
  const traffic = await startPing(where.peers, STANDING.ours.host, { source: STANDING.theirs.host, intervalMs: 20 });

  const script = path.join(import.meta.dirname, "flood-main.ts");
  const flood = spawnIn(where.flood, process.execPath, [script, GATEWAY, ...[port, rate, seconds].map(String)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const output = flood.stdout ? text(flood.stdout) : Promise.resolve("{}");
  let [rssMost, halfOpen, over] = [rssBefore, 0, false];
  const sampling = (async () => {
    while (!over) {
      rssMost = Math.max(rssMost, await rssMiB(agent.pid));
      halfOpen = Math.max(halfOpen, (await agent.status()).halfOpen);
      await delay(SAMPLE_MS);
    }
  })();

  // Awaited below, unless something else fails first.
  sampling.catch(() => undefined);
  const { connects, rekeys } = await comings(lab, performance.now() + seconds * 1000).finally(() => {
    over = true;
  });
  const { sent = 0, seconds: took = seconds } = JSON.parse(await output) as { sent?: number; seconds?: number };
  await sampling;
  const cpu = ((await cpuSeconds(agent.pid)) - cpuBefore) / took;
  const { counters, droppedDatagrams } = (await agent.status()) as AgentStatus & { readonly droppedDatagrams: number };
  const cookies = counters["cookie-demanded"] ?? 0;
  const lines = (await agent.log()).split("\n");
  const ours = (line: string) => TUNNELS.some((t) => line.includes(t.id) || line.includes(t.theirs.address));
  return {
    sent,
    perSecond: sent / took,
    seen: cookies + halfOpenMade(counters),
    cookies,
    dropped: droppedDatagrams,
    overflown: await overflown(agent.pid),
    halfOpen,
    rssBefore,
    rssMost,
    cpu,
    connects,
    rekeys,
    traffic: await traffic.stop(),
    logLines: lines.filter((line) => line !== "" && !ours(line)).length,
  };
}

/** Strangers that were given an IKE SA, or refused one. */
function halfOpenMade(counters: Readonly<Record<string, number>>): number {
  const names = ["half-open-expired", "half-open-limit", "half-open-limit-per-source"];
  return names.reduce((sum, name) => sum + (counters[name] ?? 0), 0);
}

/**
 * Floods a gateway with IKE_SA_INITs of spoofed sources while a tunnel of it carries packets and is rekeyed over and over, and another
 * peer comes and goes.
 */
export async function underFlood(prefix: string, plan: FloodPlan): Promise<FloodReport> {
  const where = topology(prefix);
  await remove(where);
  await layOut(where);
  const running: { stop(): Promise<void> }[] = [];
  try {
    const peer = await startStrongswan({
      namespace: where.peers,
      dataPlane: "kernel-libipsec",
      secrets: [{ owners: TUNNELS.map((t) => t.theirs.name), secret: PSK }],
      connections: TUNNELS.map((t) => peerConnection(t)),
      // As our own engine: 0.5 s after the first message. charon's own 4 s would make one lost datagram a failure to connect.
      settings: { retransmit_timeout: "0.5" },
    });
    running.push(peer);
    const intent = gatewayIntent("gateway.test", TUNNELS);
    const agent = await startAgent({
      namespace: where.gateway,
      dataPlane: "userspace",
      intent: { ...intent, connections: [...intent.connections, ANYBODY] },
    });
    running.push(agent);
    const pair = new Pair(agent, peer, { ours: where.gateway, theirs: where.peers });
    return await pressed({ agent, peer, pair, where }, plan);
  } finally {
    await Promise.all(running.map((r) => r.stop()));
    await remove(where);
  }
}
