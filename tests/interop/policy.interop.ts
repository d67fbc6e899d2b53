import { once } from "node:events";
import type { ChildIntent, ConnectionIntent, GatewayIntent, PolicyIntent } from "@sallyport/intent";
import { Secret } from "@sallyport/intent";
import {
  Agent,
  eventually,
  layOut,
  type PeerChild,
  type PeerConnection,
  remove,
  Strongswan,
  spawnIn,
  startAgent,
  startStrongswan,
  type Topology,
} from "@sallyport/testkit";
import { DATA_PLANE, gatewayIntent, Pair, PEER_DATA_PLANE, peerConnection, type TunnelCase } from "./lab.js";
import { STARTED_BY, scenario } from "./scenario.js";

const NS = { ours: "sp-policy-ours", theirs: "sp-policy-theirs" };
const PSK = "as the policy says";

interface Case extends TunnelCase {
  /** What our connection and its child have besides. */
  readonly mine?: Partial<ConnectionIntent>;
  readonly child?: Partial<ChildIntent>;
  readonly theirChild?: Partial<PeerChild>;
}

const tunnel = (n: number, id: string, more: Partial<Case> = {}): Case => ({
  id,
  auth: "psk",
  psk: PSK,
  ours: { name: "ours.test", address: "192.0.2.1", subnet: `10.1.${n}.0/24`, host: `10.1.${n}.1` },
  theirs: { name: `theirs${n}.test`, address: `192.0.2.${10 + n}`, subnet: `10.2.${n}.0/24`, host: `10.2.${n}.1` },
  ike: ["aes256-sha256-x25519"],
  esp: ["aes256gcm16"],
  ...more,
});

/** Found dead after about a second and a half of silence. */
const MORTAL = {
  dpd: { intervalSeconds: 1 },
  retransmission: { initialMilliseconds: 200, backoff: 1, longestMilliseconds: 200, tries: 3 },
} as const;

const T = {
  // First: the address of a device that others depend on must not go.
  steady: tunnel(1, "steady"),
  clear: tunnel(2, "dpd-clear", { mine: MORTAL, child: { dpdAction: "clear" } }),
  restart: tunnel(3, "dpd-restart", { mine: MORTAL, child: { startAction: "start", dpdAction: "restart" } }),
  hold: tunnel(4, "dpd-hold", { mine: MORTAL, child: { dpdAction: "trap" } }),
  trap: tunnel(5, "trap", { child: { startAction: "trap" } }),
  wideHere: tunnel(6, "wide-here", { child: { remoteSubnets: ["10.2.6.0/23"] } }),
  wideThere: tunnel(8, "wide-there", { theirChild: { localTs: ["10.2.8.0/23"], remoteTs: ["10.1.8.0/23"] } }),
  icmp: tunnel(10, "icmp-only", {
    child: { localSubnets: ["10.1.10.0/24[icmp]"], remoteSubnets: ["10.2.10.0/24[icmp]"] },
    theirChild: { localTs: ["10.2.10.0/24[icmp]"], remoteTs: ["10.1.10.0/24[icmp]"] },
  }),
  ports: tunnel(11, "one-port", {
    child: { localSubnets: ["10.1.11.0/24[tcp]"], remoteSubnets: ["10.2.11.0/24[tcp/8080]"] },
    theirChild: { localTs: ["10.2.11.0/24[tcp/8080]"], remoteTs: ["10.1.11.0/24[tcp]"] },
  }),
  shunted: tunnel(12, "shunted"),
  crash: tunnel(14, "they-restart", { peer: { dpdSeconds: 1, keyingTries: 0 }, theirChild: { dpdAction: "restart" } }),
  changing: tunnel(13, "changing", { child: { startAction: "start" } }),
};
const TUNNELS: readonly Case[] = Object.values(T);

const TOPOLOGY: Topology = {
  namespaces: [
    { name: NS.ours, loopback: TUNNELS.map((t) => `${t.ours.host}/32`) },
    { name: NS.theirs, loopback: TUNNELS.map((t) => `${t.theirs.host}/32`) },
  ],
  cables: [
    [
      { namespace: NS.ours, device: "wan", addresses: ["192.0.2.1/24"] },
      { namespace: NS.theirs, device: "wan", addresses: TUNNELS.map((t) => `${t.theirs.address}/24`) },
    ],
  ],
};

function intentOf(
  change: (connection: ConnectionIntent) => ConnectionIntent = (c) => c,
  policies?: readonly PolicyIntent[],
): GatewayIntent {
  const base = gatewayIntent("ours.test", TUNNELS);
  const connections = base.connections.map((connection, i): ConnectionIntent => {
    const { mine, child } = TUNNELS[i] as Case;
    return change({ ...connection, ...mine, children: connection.children.map((c) => ({ ...c, ...child })) });
  });
  return { ...base, connections, ...(policies && { policies }) };
}

function theirs(t: Case): PeerConnection {
  const connection = peerConnection(t);
  return { ...connection, children: connection.children.map((c) => ({ ...c, ...t.theirChild })) };
}

let agent: Agent;
let peer: Strongswan;
let pair: Pair;

beforeAll(async () => {
  await remove(TOPOLOGY);
  await layOut(TOPOLOGY);
  peer = await startStrongswan({
    namespace: NS.theirs,
    dataPlane: PEER_DATA_PLANE,
    secrets: TUNNELS.map((t) => ({ owners: [t.theirs.name], secret: PSK })),
    connections: TUNNELS.map(theirs),
    settings: { retransmit_tries: "2", retransmit_timeout: "0.4" },
  });
  agent = await startAgent({ namespace: NS.ours, dataPlane: DATA_PLANE, intent: intentOf() });
  pair = new Pair(agent, peer, NS);
}, 60_000);
afterAll(async () => {
  await Promise.all([peer?.stop(), agent?.stop()]);
  await remove(TOPOLOGY);
}, 30_000);

async function ip(namespace: string, ...args: string[]): Promise<void> {
  const [code] = await once(spawnIn(namespace, "ip", args), "exit");
  if (code !== 0) throw new Error(`ip ${args.join(" ")} ended with ${code}`);
}

/** The peer is not there for a while. */
const vanish = (t: Case) => ip(NS.theirs, "addr", "del", `${t.theirs.address}/24`, "dev", "wan");
const comeBack = (t: Case) => ip(NS.theirs, "addr", "add", `${t.theirs.address}/24`, "dev", "wan");

const foundDead = (t: Case) =>
  eventually(`${t.id} is found dead`, async () => {
    const { sas } = await agent.peer(t.id);
    return sas.every((sa) => sa.state !== "established") || undefined;
  });

async function policyOf(t: Case) {
  const { policies } = (await agent.status()) as unknown as {
    policies: { id: string; active: boolean; sas: number; dynamic: boolean; state: string }[];
  };
  return policies.filter((p) => p.id === `${t.id}-net`);
}

describe("a dead peer", () => {
  scenario(
    { proves: 6, role: "initiator" },
    "clear: is forgotten, policies and all",
    async () => {
      await pair.up(T.clear, "ours");
      await pair.both(T.clear);
      await vanish(T.clear);
      await foundDead(T.clear);
      expect(await policyOf(T.clear)).toMatchObject([{ active: false, sas: 0 }]);
      await comeBack(T.clear);
      expect(await pair.ping(T.clear, 5)).toMatchObject({ received: 0 });
      expect((await agent.peer(T.clear.id)).sas).toEqual([]);
    },
    30_000,
  );

  scenario(
    { proves: 6, role: "initiator" },
    "restart: is called until it answers",
    async () => {
      await pair.both(T.restart);
      await vanish(T.restart);
      await foundDead(T.restart);
      expect((await agent.peer(T.restart.id)).lastError?.code).toBe("ike/no-response");
      await comeBack(T.restart);
      await pair.both(T.restart, 30_000);
      expect(await pair.ping(T.restart)).toMatchObject({ lossPct: 0 });
    },
    45_000,
  );

  scenario(
    { proves: 6, role: "initiator" },
    "hold: is called when a packet is for it, and nothing leaves in clear meanwhile",
    async () => {
      await pair.up(T.hold, "ours");
      await pair.both(T.hold);
      await vanish(T.hold);
      await foundDead(T.hold);
      expect(await policyOf(T.hold)).toMatchObject([{ active: true, sas: 0, state: "no-phase2" }]);
      await comeBack(T.hold);
      expect((await pair.ping(T.hold, 100)).received).toBeGreaterThan(0);
      await pair.both(T.hold);
    },
    30_000,
  );

  scenario(
    { proves: 6, role: "responder" },
    "that finds us dead and calls again is answered",
    async () => {
      await pair.up(T.crash, "theirs");
      await pair.both(T.crash);
      await agent.kill();
      await eventually("strongSwan calls again", async () => {
        const sas = await peer.listSas(T.crash.id);
        return (sas.length > 0 && sas.every((sa) => sa.state === "CONNECTING")) || undefined;
      });
      await agent.restart();
      const { ours } = await pair.both(T.crash, 20_000);
      expect(ours.initiator).toBe(false);
      expect(await pair.ping(T.crash)).toMatchObject({ lossPct: 0 });
    },
    30_000,
  );
});

describe("a trap", () => {
  scenario(
    { proves: 9, role: "initiator" },
    "lets the first packet start the negotiation",
    async () => {
      expect((await agent.peer(T.trap.id)).sas).toEqual([]);
      expect(await policyOf(T.trap)).toMatchObject([{ active: true, sas: 0 }]);
      expect((await pair.ping(T.trap, 50)).received).toBeGreaterThan(0);
      const { ours, child } = await pair.both(T.trap);
      expect(ours.initiator).toBe(true);
      expect(child.theirs.remoteTs).toEqual([T.trap.ours.subnet]);
      expect(await peer.log(400)).toMatch(/10\.1\.5\.1\/32\[icmp\/8/);
      expect(await policyOf(T.trap)).toMatchObject([{ active: true, sas: 1, state: "established" }]);
    },
    30_000,
  );
});

describe.each(["ours", "theirs"] as const)("narrowing, started by %s", (by) => {
  scenario(
    { proves: 9, role: STARTED_BY[by] },
    `what one end allows is what both use, started by ${by}`,
    async () => {
      await pair.up(T.wideHere, by);
      await pair.up(T.wideThere, by);
      const here = await pair.both(T.wideHere);
      const there = await pair.both(T.wideThere);
      expect([here.child.theirs.localTs, here.child.theirs.remoteTs]).toEqual([["10.2.6.0/24"], ["10.1.6.0/24"]]);
      expect([there.child.theirs.localTs, there.child.theirs.remoteTs]).toEqual([["10.2.8.0/24"], ["10.1.8.0/24"]]);
      expect(await pair.ping(T.wideHere)).toMatchObject({ lossPct: 0 });
      expect(await pair.ping(T.wideThere)).toMatchObject({ lossPct: 0 });
      if (by === "ours") expect((await policyOf(T.wideHere)).map((p) => p.dynamic)).toEqual([true, false]);
      for (const t of [T.wideHere, T.wideThere]) {
        await agent.ask("down", { tunnel: t.id });
        await pair.gone(t);
      }
    },
    40_000,
  );
});

/** Whether a TCP connection from our host to theirs is answered on a port. */
async function answers(t: Case, port: number): Promise<boolean> {
  const script = (code: string) => ["-e", code];
  const server = spawnIn(
    NS.theirs,
    process.execPath,
    script(`require("net").createServer(s=>s.end("hello")).listen(${port},"${t.theirs.host}",()=>console.log("on"))`),
    { stdio: ["ignore", "pipe", "ignore"] },
  );
  try {
    if (server.stdout) await once(server.stdout, "data");
    const options = `{host:"${t.theirs.host}",port:${port},localAddress:"${t.ours.host}"}`;
    const client = spawnIn(
      NS.ours,
      process.execPath,
      script(
        `const s=require("net").connect(${options});s.on("data",()=>process.exit(0));s.on("error",()=>process.exit(1));setTimeout(()=>process.exit(2),1500)`,
      ),
    );
    const [code] = await once(client, "exit");
    return code === 0;
  } finally {
    server.kill("SIGKILL");
  }
}

describe.each(["ours", "theirs"] as const)("selectors, started by %s", (by) => {
  scenario(
    { proves: 31, role: STARTED_BY[by] },
    `one protocol only, started by ${by}`,
    async () => {
      await pair.up(T.icmp, by);
      const { child } = await pair.both(T.icmp);
      expect([child.theirs.localTs, child.theirs.remoteTs]).toEqual([["10.2.10.0/24[icmp]"], ["10.1.10.0/24[icmp]"]]);
      expect(await pair.ping(T.icmp)).toMatchObject({ lossPct: 0 });
      expect(await answers(T.icmp, 8080)).toBe(false);
      await agent.ask("down", { tunnel: T.icmp.id });
      await pair.gone(T.icmp);
    },
    30_000,
  );

  scenario(
    { proves: 31, role: STARTED_BY[by] },
    `one port only, started by ${by}`,
    async () => {
      await pair.up(T.ports, by);
      const { child } = await pair.both(T.ports);
      expect(child.theirs.localTs).toEqual(["10.2.11.0/24[tcp/http-alt]"]);
      expect(await answers(T.ports, 8080)).toBe(true);
      expect(await answers(T.ports, 8081)).toBe(false);
      expect(await pair.ping(T.ports, 3)).toMatchObject({ received: 0 });
      await agent.ask("down", { tunnel: T.ports.id });
      await pair.gone(T.ports);
    },
    40_000,
  );
});

describe("shunts", () => {
  const shunt = (action: "discard" | "none", remote: string): PolicyIntent => {
    return { action, id: "shunt", name: "shunt", local: [T.shunted.ours.subnet], remote: [remote] };
  };

  scenario(
    { proves: 31 },
    "a drop shunt before the tunnel stops what it names, behind it nothing; the SAs stay",
    async () => {
      await pair.up(T.shunted, "ours");
      const before = await pair.both(T.shunted);
      const spis = async () => {
        const { child } = await pair.both(T.shunted);
        return [child.ours.spiIn, child.ours.spiOut];
      };
      expect(await pair.ping(T.shunted)).toMatchObject({ lossPct: 0 });
      const drop = shunt("discard", "10.2.12.0/24[icmp]");
      await agent.change({ intent: intentOf(undefined, [drop, { action: "encrypt" }]) });
      expect(await pair.ping(T.shunted, 5)).toMatchObject({ received: 0 });
      expect(await answers(T.shunted, 8080)).toBe(true);
      await agent.change({ intent: intentOf(undefined, [{ action: "encrypt" }, drop]) });
      // The narrower one would have stopped it, were it not for the order.
      expect(await pair.ping(T.shunted)).toMatchObject({ lossPct: 0 });
      await agent.change({ intent: intentOf() });
      expect(await spis()).toEqual([before.child.ours.spiIn, before.child.ours.spiOut]);
    },
    60_000,
  );
});

describe("a changed configuration, with traffic through a tunnel that it does not concern", () => {
  const changing = (change: (c: ConnectionIntent) => ConnectionIntent) =>
    intentOf((c) => (c.id === T.changing.id ? change(c) : c));
  const secret = (text: string) => ({ keyId: "next", secret: new Secret(text) });

  scenario(
    { proves: [1, 31] },
    "loses none of its packets: another key, other selectors, other proposals, a tunnel less, and back",
    async () => {
      await pair.up(T.steady, "ours");
      const before = await pair.both(T.steady);
      await pair.both(T.changing);
      const ping = await pair.during(T.steady, async () => {
        const key = "another key";
        await peer.load({ secrets: [{ owners: [T.changing.theirs.name, T.changing.ours.name], secret: key }] });
        await peer.unload(T.changing.id);
        await agent.change({
          intent: changing((c) => ({
            ...c,
            local: { ...c.local, method: "psk", ...secret(key) },
            peer: { ...c.peer, method: "psk", ...secret(key) } as ConnectionIntent["peer"],
          })),
        });
        await foundDead(T.changing);
        await agent.change({ intent: intentOf() });
        await peer.clearCredentials();
        await peer.load({ secrets: TUNNELS.map((t) => ({ owners: [t.theirs.name], secret: PSK })) });
        await peer.load({ connections: [theirs(T.changing)] });
        await pair.both(T.changing, 30_000);
        await agent.change({
          intent: changing((c) => ({ ...c, ikeProposals: ["aes256-sha256-x25519", "aes128-sha256-x25519"] })),
        });
        await pair.both(T.changing);
        await agent.change({
          intent: changing((c) => ({
            ...c,
            children: c.children.map((x) => ({ ...x, localSubnets: ["10.1.13.0/25"] })),
          })),
        });
        await pair.settled(T.changing, ({ child }) => child.theirs.remoteTs[0] === "10.1.13.0/25");
        const less = intentOf();
        const connections = less.connections.filter((c) => c.id !== T.changing.id);
        await agent.change({ intent: { ...less, connections } });
        await agent.change({ intent: intentOf() });
        await pair.both(T.changing, 20_000);
      });
      expect(ping.sent).toBeGreaterThan(100);
      expect(ping).toMatchObject({ lossPct: 0 });
      const after = await pair.both(T.steady);
      expect(after.child.ours.spiIn).toBe(before.child.ours.spiIn);
      expect(after.ours.spiInitiator).toBe(before.ours.spiInitiator);
    },
    120_000,
  );
});
