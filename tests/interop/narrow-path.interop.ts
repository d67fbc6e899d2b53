import type { ChildProcess } from "node:child_process";
import { text } from "node:stream/consumers";
import type { ChildIntent } from "@sallyport/intent";
import { endProcess, spawnIn, type Topology } from "@sallyport/testkit";
import { Lab } from "./daemons.js";
import { connectionIntent, gatewayIntent, Pair, peerConnection, type TunnelCase } from "./lab.js";
import { STARTED_BY, scenario } from "./scenario.js";
import { iptables, run } from "./squeezing-lab.js";
import { startTcpServer, transfer } from "./tcp-lab.js";

/** A host behind either gateway, and between the gateways a link that takes 1,280 octets (CORE-20). */
const NS = {
  ours: "sp-thin-ours",
  theirs: "sp-thin-theirs",
  middle: "sp-thin-mid",
  here: "sp-thin-here",
  there: "sp-thin-there",
};
const NARROW = 1280;
const OURS = { name: "ours.test", address: "192.0.2.2", subnet: "10.1.1.0/24", host: "10.1.1.2" };
const THEIRS = { name: "theirs.test", address: "198.51.100.2", subnet: "10.2.1.0/24", host: "10.2.1.2" };
const TOPOLOGY: Topology = {
  namespaces: [
    { name: NS.ours, forwards: true, gateway: "192.0.2.1" },
    { name: NS.middle, forwards: true },
    { name: NS.theirs, forwards: true, gateway: "198.51.100.1" },
    { name: NS.here, gateway: "10.1.1.1" },
    { name: NS.there, gateway: "10.2.1.1" },
  ],
  cables: [
    [
      { namespace: NS.ours, device: "wan", addresses: [`${OURS.address}/24`] },
      { namespace: NS.middle, device: "near", addresses: ["192.0.2.1/24"] },
    ],
    [
      { namespace: NS.middle, device: "far", addresses: ["198.51.100.1/24"] },
      { namespace: NS.theirs, device: "wan", addresses: [`${THEIRS.address}/24`] },
    ],
    [
      { namespace: NS.here, device: "eth0", addresses: [`${OURS.host}/24`] },
      { namespace: NS.ours, device: "lan", addresses: ["10.1.1.1/24"] },
    ],
    [
      { namespace: NS.there, device: "eth0", addresses: [`${THEIRS.host}/24`] },
      { namespace: NS.theirs, device: "lan", addresses: ["10.2.1.1/24"] },
    ],
  ],
};

const TUNNEL: TunnelCase = {
  id: "thin",
  auth: "psk",
  psk: "through a thin pipe",
  ike: ["aes256gcm16-prfsha256-x25519"],
  esp: ["aes256gcm16"],
  ours: OURS,
  theirs: THEIRS,
};

const intentOf = (child: Partial<ChildIntent>) => {
  const plain = connectionIntent(TUNNEL);
  const connections = [{ ...plain, children: plain.children.map((c) => ({ ...c, ...child })) }];
  return { ...gatewayIntent(OURS.name, [TUNNEL]), connections };
};
const PORT = 7000;

const lab = new Lab(TOPOLOGY);
let pair: Pair;
let server: ChildProcess | undefined;

lab.forFile(async () => {
  await run(NS.middle, "ip", "link", "set", "far", "mtu", String(NARROW));
  await run(NS.theirs, "ip", "link", "set", "wan", "mtu", String(NARROW));
  const peer = await lab.strongswan(NS.theirs, {
    secrets: [{ owners: [OURS.name, THEIRS.name], secret: TUNNEL.psk ?? "" }],
    connections: [peerConnection(TUNNEL)],
  });
  const agent = await lab.agent(NS.ours, { intent: intentOf({}) });
  pair = new Pair(agent, peer, { ours: NS.here, theirs: NS.there });
  server = await startTcpServer(NS.there, PORT);
});
afterAll(async () => {
  if (server) await endProcess(server, "SIGKILL");
}, 120_000);

/** Octets that came back over TCP, of those that the host behind us sent to the one behind the peer. */
const carried = (octets: number) =>
  transfer({ namespace: NS.here, from: OURS.host, to: THEIRS.host, port: PORT, octets });

/** What a host is told of a packet that may not be cut: the MTU of the ICMP error, if one comes. */
async function told(octets: number): Promise<number | undefined> {
  const child = spawnIn(
    NS.here,
    "ping",
    ["-n", "-M", "do", "-s", String(octets - 28), "-c", "4", "-i", "0.2", "-W", "1", THEIRS.host],
    { stdio: ["ignore", "pipe", "pipe"], env: { PATH: process.env.PATH, LC_ALL: "C" } },
  );
  const [out, errors] = await Promise.all([child.stdout, child.stderr].map((stream) => (stream ? text(stream) : "")));
  const found = /mtu ?= ?(\d+)/.exec(`${out}${errors}`)?.[1];
  return found === undefined ? undefined : Number(found);
}

/** Nobody is told that a packet was too long. */
const SILENT = ["-p", "icmp", "--icmp-type", "fragmentation-needed", "-j", "DROP"];
const forgetRoutes = () => Promise.all([NS.here, NS.ours].map((ns) => run(ns, "ip", "route", "flush", "cache")));

for (const by of ["ours", "theirs"] as const) {
  scenario(
    { proves: [1, 5], role: STARTED_BY[by] },
    `a TCP transfer passes a path of ${NARROW} octets whose routers tell, and hosts are told what fits, started by ${by}`,
    async () => {
      await forgetRoutes();
      await pair.up(TUNNEL, by);
      await pair.both(TUNNEL);
      expect(await carried(300_000)).toBe(300_000);
      await forgetRoutes();
      const mtu = await told(1350);
      expect(mtu).toBeGreaterThan(1100);
      expect(mtu).toBeLessThan(NARROW - 40);
      await pair.agent.ask("down", { tunnel: TUNNEL.id });
      await pair.gone(TUNNEL);
    },
    120_000,
  );
}

describe("where no ICMP passes", () => {
  beforeAll(async () => {
    await iptables(NS.middle, "-A", "OUTPUT", ...SILENT);
    await pair.agent.change({ intent: { ...intentOf({ pathMtu: NARROW }), revision: 2 } });
  }, 120_000);

  for (const by of ["ours", "theirs"] as const) {
    scenario(
      { proves: [1, 5], role: STARTED_BY[by] },
      `a TCP transfer passes when the path is known, since its segments are made to fit, started by ${by}`,
      async () => {
        await forgetRoutes();
        await pair.up(TUNNEL, by);
        await pair.both(TUNNEL);
        // The hosts must not have to be told either.
        await iptables(NS.here, "-A", "INPUT", ...SILENT);
        expect(await carried(300_000)).toBe(300_000);
        await iptables(NS.here, "-F", "INPUT");
        expect(await told(1350)).toBeLessThan(NARROW - 40);
        await pair.agent.ask("down", { tunnel: TUNNEL.id });
        await pair.gone(TUNNEL);
      },
      120_000,
    );
  }
});
