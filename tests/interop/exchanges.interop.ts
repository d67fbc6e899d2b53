import { type Agent, eventually, ping, type Strongswan } from "@sallyport/testkit";
import { Lab } from "./daemons.js";
import {
  CASES,
  type CaseName,
  NAME,
  NETS,
  NS,
  RETURNS,
  SEVERAL,
  STAYS,
  severalConnection,
  severalIntent,
  TOPOLOGY,
} from "./exchanges-lab.js";
import { gatewayIntent, Pair, peerConnection } from "./lab.js";
import { STARTED_BY, scenario } from "./scenario.js";

const daemons = new Lab(TOPOLOGY);
let agent: Agent | undefined;
const peers: Partial<Record<"stays" | "returns", Strongswan>> = {};

const startPeer = (which: "stays" | "returns") => {
  const tunnels = which === "stays" ? STAYS : RETURNS;
  return daemons.strongswan(which === "stays" ? NS.peer : NS.returns, {
    secrets: tunnels.map((t) => ({ owners: [t.theirs.name], secret: t.psk ?? "" })),
    connections: tunnels.map((t) => (t === SEVERAL ? severalConnection() : peerConnection(t))),
  });
};

daemons.forFile(async () => {
  const intent = gatewayIntent(NAME, [...STAYS, ...RETURNS]);
  const connections = intent.connections.map((c) => (c.id === SEVERAL.id ? severalIntent(c) : c));
  [peers.stays, peers.returns, agent] = await Promise.all([
    startPeer("stays"),
    startPeer("returns"),
    daemons.agent(NS.ours, { intent: { ...intent, connections } }),
  ]);
});

function lab(name: CaseName) {
  const { tunnel } = CASES[name];
  const which = RETURNS.includes(tunnel) ? "returns" : "stays";
  const peer = peers[which];
  if (!agent || !peer) throw new Error("the lab did not start");
  const pair = new Pair(agent, peer, { ours: NS.ours, theirs: which === "stays" ? NS.peer : NS.returns });
  return { tunnel, pair, agent, peer };
}

describe("collisions", () => {
  const collide = async (act: (l: ReturnType<typeof lab>) => Promise<unknown>[]) => {
    const l = lab("collide");
    const up = (await l.peer.listSas(l.tunnel.id)).length > 0;
    if (!up) await l.pair.up(l.tunnel, "ours");
    await l.pair.both(l.tunnel);
    const traffic = await l.pair.during(l.tunnel, async () => {
      await Promise.allSettled(act(l));
      await l.pair.both(l.tunnel);
    });
    await l.pair.both(l.tunnel);
    expect((await l.pair.ping(l.tunnel, 10)).received).toBe(10);
    return traffic;
  };

  scenario(
    { proves: 23 },
    "both ends rekey the CHILD SA at once, time and again, and traffic goes on",
    async () => {
      for (let i = 0; i < 8; i++) {
        const traffic = await collide(({ pair, tunnel }) => [
          pair.rekey(tunnel, "child", "ours"),
          pair.rekey(tunnel, "child", "theirs"),
        ]);
        // strongSwan's libipsec may lose what it was about to send on the pair that goes.
        expect(traffic.longestGapMs).toBeLessThan(200);
      }
    },
    120_000,
  );

  scenario(
    { proves: 23 },
    "both ends rekey the IKE SA at once, time and again, and no packet is lost",
    async () => {
      for (let i = 0; i < 3; i++) {
        const traffic = await collide(({ pair, tunnel }) => [
          pair.rekey(tunnel, "ike", "ours"),
          pair.rekey(tunnel, "ike", "theirs"),
        ]);
        expect(traffic.lossPct).toBe(0);
      }
    },
    120_000,
  );

  scenario(
    { proves: 23 },
    "one end rekeys the IKE SA, the other the CHILD SA",
    async () => {
      for (const [ike, child] of [
        ["ours", "theirs"],
        ["theirs", "ours"],
      ] as const) {
        const traffic = await collide(({ pair, tunnel }) => [
          pair.rekey(tunnel, "ike", ike),
          pair.rekey(tunnel, "child", child),
        ]);
        expect(traffic.lossPct).toBe(0);
      }
    },
    120_000,
  );

  scenario(
    { proves: 23 },
    "one end rekeys the CHILD SA that the other deletes",
    async () => {
      const { tunnel, pair, agent: ours, peer } = lab("collide");
      const child = `${tunnel.id}-net`;
      await pair.up(tunnel, "ours");
      await Promise.allSettled([pair.rekey(tunnel, "child", "ours"), peer.terminate({ child })]);
      await pair.up(tunnel, "ours");
      await pair.both(tunnel);
      await Promise.allSettled([pair.rekey(tunnel, "child", "theirs"), ours.ask("down", { tunnel: tunnel.id, child })]);
      await pair.up(tunnel, "ours");
      await pair.both(tunnel);
      expect((await pair.ping(tunnel, 10)).received).toBe(10);
    },
    120_000,
  );
});

describe("several CHILD SAs", () => {
  const names = ["several-net", "several-port"];
  const childrenOf = async () => {
    if (!agent || !peers.stays) throw new Error("the lab did not start");
    const ours = (await agent.peer(SEVERAL.id)).sas.flatMap((sa) => sa.children.map((c) => c.child));
    const theirs = (await peers.stays.listSas(SEVERAL.id)).flatMap((sa) => sa.children);
    return { ours: ours.sort(), theirs: theirs.map((c) => c.name).sort(), listed: theirs };
  };
  const settled = (wanted: readonly string[]) =>
    eventually(`both ends have ${wanted.join(", ")}`, async () => {
      const now = await childrenOf();
      return now.ours.join() === wanted.join() && now.theirs.join() === wanted.join() ? now : undefined;
    });

  for (const by of ["ours", "theirs"] as const) {
    scenario(
      { proves: 24, role: STARTED_BY[by] },
      `IPv4 and IPv6 in one, a port in another; one is deleted and the other stays: by ${by}`,
      async () => {
        if (!agent || !peers.stays) throw new Error("the lab did not start");
        for (const child of names) {
          if (by === "ours") await agent.ask("up", { tunnel: SEVERAL.id, child });
          else await peers.stays.initiate(child);
        }
        const { listed } = await settled(names);
        const net = listed.find((c) => c.name === "several-net");
        expect([...(net?.localTs ?? [])].sort()).toEqual([...NETS.theirs].sort());
        expect([...(net?.remoteTs ?? [])].sort()).toEqual([...NETS.ours].sort());
        expect(listed.find((c) => c.name === "several-port")?.localTs).toEqual(["10.2.21.0/24[udp/40007]"]);
        const [four, six] = await Promise.all([
          ping(NS.ours, SEVERAL.theirs.host, { source: SEVERAL.ours.host, count: 10 }),
          ping(NS.ours, "fd00:2::1", { source: "fd00:1::1", count: 10 }),
        ]);
        expect([four.received, six.received]).toEqual([10, 10]);
        if (by === "ours") await agent.ask("down", { tunnel: SEVERAL.id, child: "several-port" });
        else await peers.stays.terminate({ child: "several-port" });
        await settled(["several-net"]);
        expect((await ping(NS.ours, "fd00:2::1", { source: "fd00:1::1", count: 5 })).received).toBe(5);
        await agent.ask("down", { tunnel: SEVERAL.id });
        await eventually("both are gone", async () => (await childrenOf()).theirs.length === 0 || undefined);
      },
      120_000,
    );
  }
});

describe("crash and return", () => {
  scenario(
    { proves: 30, role: "responder" },
    "strongSwan crashes and calls again: its INITIAL_CONTACT ends the old SA",
    async () => {
      const { tunnel, pair, peer, agent: ours } = lab("returns");
      await pair.up(tunnel, "theirs");
      const before = await pair.both(tunnel);
      await peer.kill();
      await peer.stop();
      peers.returns = await startPeer("returns");
      const again = lab("returns");
      await again.pair.up(tunnel, "theirs");
      const after = await again.pair.both(tunnel);
      expect(after.ours.serial).not.toBe(before.ours.serial);
      await eventually("the old one is gone", async () => (await ours.peer(tunnel.id)).sas.length === 1 || undefined);
      expect((await again.pair.ping(tunnel, 10)).received).toBe(10);
    },
    120_000,
  );

  scenario(
    { proves: 30, role: "initiator" },
    "we crash and call again: strongSwan, which wants one, has one",
    async () => {
      const { tunnel, pair, agent: ours } = lab("unique");
      await pair.up(tunnel, "ours");
      const before = await pair.both(tunnel);
      await ours.kill();
      await ours.restart();
      await pair.up(tunnel, "ours");
      const after = await pair.both(tunnel);
      expect(after.theirs.uniqueId).not.toBe(before.theirs.uniqueId);
      expect((await pair.ping(tunnel, 10)).received).toBe(10);
    },
    120_000,
  );
});
