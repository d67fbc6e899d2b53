import { spawn } from "node:child_process";
import { once } from "node:events";
import type { ChildIntent, ConnectionIntent } from "@sallyport/intent";
import { eventually, type PeerChild, ping, type Topology } from "@sallyport/testkit";
import { againstStrongswan } from "./daemons.js";
import { type BothEnds, connectionIntent, gatewayIntent, type Pair, peerConnection, type TunnelCase } from "./lab.js";
import { STARTED_BY, scenario } from "./scenario.js";

/** What only a kernel carries: transport mode, what goes inside it, and both versions of IP outside and inside. */
const NS = { ours: "sp-ktp-ours", theirs: "sp-ktp-theirs" };
const V4 = { ours: "192.0.2.2", theirs: "192.0.2.3" };
const V6 = { ours: "2001:db8::2", theirs: "2001:db8::3" };
const INSIDE = {
  4: { ours: "10.1.1.1", theirs: "10.2.1.1" },
  6: { ours: "fd01::1", theirs: "fd02::1" },
} as const;
const NETS = {
  4: { ours: "10.1.1.0/24", theirs: "10.2.1.0/24" },
  6: { ours: "fd01::/64", theirs: "fd02::/64" },
} as const;

const TOPOLOGY: Topology = {
  ipv6: true,
  namespaces: [
    { name: NS.ours, loopback: [`${INSIDE[4].ours}/32`, `${INSIDE[6].ours}/128`] },
    { name: NS.theirs, loopback: [`${INSIDE[4].theirs}/32`, `${INSIDE[6].theirs}/128`] },
  ],
  cables: [
    [
      { namespace: NS.ours, device: "eth0", addresses: [`${V4.ours}/24`, `${V6.ours}/64`] },
      { namespace: NS.theirs, device: "eth0", addresses: [`${V4.theirs}/24`, `${V6.theirs}/64`] },
    ],
  ],
};

const OURS = "ours.test";
const THEIRS = "theirs.test";
const PSK = "no wrapping";
const ID = "direct";

/** Daemons take a guest longer to start than everything that a test does with them: each test gives them its own connection. */
const lab = againstStrongswan(NS, TOPOLOGY).forFile(async () => {
  // Without a tunnel device a kernel needs some way towards the far network.
  for (const [end, via] of [
    ["ours", V4.theirs],
    ["theirs", V4.ours],
  ] as const) {
    await ip(NS[end], "route", "add", "default", "via", via);
    await ip(NS[end], "-6", "route", "add", "default", "via", end === "ours" ? V6.theirs : V6.ours);
  }
  return { peer: { secrets: [{ owners: [OURS, THEIRS], secret: PSK }] }, agent: { intent: gatewayIntent(OURS, []) } };
});

/** Devices of tests, which take them away again. */
const devices: (readonly [namespace: string, device: string])[] = [];

afterEach(async () => {
  await lab.peer.unload(ID);
  await lab.agent.change({ intent: gatewayIntent(OURS, []) });
  await eventually("the peer has no SA", async () => (await lab.peer.listSas()).length === 0 || undefined);
  for (const [namespace, device] of devices.splice(0)) await ip(namespace, "link", "del", device);
}, 120_000);

async function ip(namespace: string, ...args: string[]): Promise<void> {
  const child = spawn("ip", ["-n", namespace, ...args], { stdio: ["ignore", "ignore", "inherit"] });
  const [code] = await once(child, "exit");
  if (code !== 0) throw new Error(`ip -n ${namespace} ${args.join(" ")} failed`);
}

/** A tunnel of the kernel's own between the ends, with an address at each. */
async function addDevice(kind: "gre" | "ipip", addresses: Readonly<Record<"ours" | "theirs", string>>) {
  const device = `${kind}1`;
  for (const [end, other] of [
    ["ours", "theirs"],
    ["theirs", "ours"],
  ] as const) {
    await ip(NS[end], "link", "add", device, "type", kind, "local", V4[end], "remote", V4[other], "ttl", "64");
    devices.push([NS[end], device]);
    await ip(NS[end], "addr", "add", addresses[end], "dev", device);
    await ip(NS[end], "link", "set", device, "mtu", "1442", "up");
  }
}

interface Wanted {
  readonly outer: 4 | 6;
  readonly child: Pick<ChildIntent, "mode" | "localSubnets" | "remoteSubnets" | "startAction">;
  readonly theirs: Partial<PeerChild>;
  /** Without it, a trap does. */
  readonly initiator?: "ours" | "theirs";
}

function tunnelOf(outer: 4 | 6): TunnelCase {
  const at = outer === 4 ? V4 : V6;
  const end = (name: "ours" | "theirs") => ({
    name: name === "ours" ? OURS : THEIRS,
    address: at[name],
    subnet: NETS[4][name],
    host: INSIDE[4][name],
  });
  return {
    id: ID,
    auth: "psk",
    psk: PSK,
    ike: ["aes256gcm16-prfsha256-x25519"],
    esp: ["aes256gcm16-x25519"],
    ours: end("ours"),
    theirs: end("theirs"),
  };
}

async function connect({ outer, child, theirs, initiator }: Wanted): Promise<{ pair: Pair; tunnel: TunnelCase }> {
  const tunnel = tunnelOf(outer);
  const base = peerConnection(tunnel);
  const intent = connectionIntent(tunnel);
  const connection: ConnectionIntent = { ...intent, children: intent.children.map((c) => ({ ...c, ...child })) };
  const { pair } = lab;
  await lab.peer.load({ connections: [{ ...base, children: base.children.map((c) => ({ ...c, ...theirs })) }] });
  await lab.agent.change({ intent: { ...gatewayIntent(OURS, []), connections: [connection] } });
  if (initiator) await pair.up(tunnel, initiator);
  return { pair, tunnel };
}

/** Packets in both directions, as the peer's own counters say. */
async function carried(pair: Pair, tunnel: TunnelCase, count: number): Promise<BothEnds> {
  return pair.settled(tunnel, ({ child }) => child.theirs.packetsIn >= count && child.theirs.packetsOut >= count);
}

describe("transport mode", () => {
  for (const outer of [4, 6] as const) {
    for (const initiator of ["ours", "theirs"] as const) {
      scenario(
        { proves: outer === 4 ? 17 : [17, 27], role: STARTED_BY[initiator] },
        `between the ends over IPv${outer}, ${initiator === "ours" ? "we call" : "the peer calls"}`,
        async () => {
          const at = outer === 4 ? V4 : V6;
          const { pair, tunnel } = await connect({
            outer,
            child: { mode: "transport", localSubnets: [], remoteSubnets: [], startAction: "none" },
            theirs: { mode: "transport", localTs: ["dynamic"], remoteTs: ["dynamic"] },
            initiator,
          });
          const { child } = await pair.both(tunnel);
          expect([child.ours.mode, child.theirs.mode]).toEqual(["transport", "TRANSPORT"]);
          expect(child.ours.encapsulated).toBe(false);
          expect(await ping(NS.ours, at.theirs, { source: at.ours, count: 10 })).toMatchObject({ received: 10 });
          await carried(pair, tunnel, 10);
        },
        120_000,
      );
    }
  }

  for (const starter of ["ours", "theirs"] as const) {
    scenario(
      { proves: [9, 17], role: STARTED_BY[starter] },
      `GRE inside, started by the first packet of ${starter === "ours" ? "our" : "the peer's"} side; nothing leaves before`,
      async () => {
        const gre = (end: "ours" | "theirs") => `${V4[end]}/32[gre]`;
        await addDevice("gre", { ours: "10.9.0.1/30", theirs: "10.9.0.2/30" });
        const { pair, tunnel } = await connect({
          outer: 4,
          child: {
            mode: "transport",
            localSubnets: [gre("ours")],
            remoteSubnets: [gre("theirs")],
            startAction: starter === "ours" ? "trap" : "none",
          },
          theirs: {
            mode: "transport",
            localTs: ["dynamic[gre]"],
            remoteTs: ["dynamic[gre]"],
            startAction: starter === "theirs" ? "trap" : "none",
          },
        });
        const [from, to] = starter === "ours" ? [NS.ours, "10.9.0.2"] : [NS.theirs, "10.9.0.1"];
        await eventually(
          "GRE passes",
          async () => (await ping(from, to, { count: 2, waitMs: 1_000 })).received === 2 || undefined,
        );
        const { child } = await pair.both(tunnel);
        expect(child.ours.local.map((r) => r.protocol)).toEqual([47]);
        expect(await ping(NS.ours, "10.9.0.2", { count: 20 })).toMatchObject({ sent: 20, received: 20 });
        await carried(pair, tunnel, 20);
      },
      120_000,
    );
  }

  scenario(
    { proves: 17, role: "initiator" },
    "IPIP inside",
    async () => {
      const ipip = (end: "ours" | "theirs") => `${V4[end]}/32[4]`;
      await addDevice("ipip", { ours: "10.8.0.1/30", theirs: "10.8.0.2/30" });
      const { pair, tunnel } = await connect({
        outer: 4,
        child: {
          mode: "transport",
          localSubnets: [ipip("ours")],
          remoteSubnets: [ipip("theirs")],
          startAction: "none",
        },
        theirs: { mode: "transport", localTs: ["dynamic[4]"], remoteTs: ["dynamic[4]"] },
        initiator: "ours",
      });
      expect(await ping(NS.ours, "10.8.0.2", { count: 10 })).toMatchObject({ sent: 10, received: 10 });
      await carried(pair, tunnel, 10);
    },
    120_000,
  );
});

describe("tunnel mode with IPv6", () => {
  for (const [name, inner, outer] of [
    ["6in6", 6, 6],
    ["4in6", 4, 6],
    ["6in4", 6, 4],
  ] as const) {
    for (const initiator of ["ours", "theirs"] as const) {
      scenario(
        { proves: 27, role: STARTED_BY[initiator] },
        `${name}, ${initiator === "ours" ? "we call" : "the peer calls"}`,
        async () => {
          const net = NETS[inner];
          const { pair, tunnel } = await connect({
            outer,
            child: { mode: "tunnel", localSubnets: [net.ours], remoteSubnets: [net.theirs], startAction: "none" },
            theirs: { localTs: [net.theirs], remoteTs: [net.ours] },
            initiator,
          });
          await pair.both(tunnel);
          const { ours, theirs } = INSIDE[inner];
          expect(await ping(NS.ours, theirs, { source: ours, count: 10 })).toMatchObject({ sent: 10, received: 10 });
          await carried(pair, tunnel, 10);
        },
        120_000,
      );
    }
  }
});
