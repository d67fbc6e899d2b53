import { type Agent, eventually, ping, type Strongswan } from "@sallyport/testkit";
import { Lab } from "./daemons.js";
import {
  ALL,
  BREAKS,
  CASES,
  type CaseName,
  MAKES,
  NAME,
  NETS,
  NS,
  SEVERAL,
  severalConnection,
  severalIntent,
  TOPOLOGY,
} from "./exchanges-lab.js";
import { gatewayIntent, Pair, peerConnection } from "./lab.js";
import { STARTED_BY, scenario } from "./scenario.js";

const daemons = new Lab(TOPOLOGY);
let agent: Agent | undefined;
const peers: Partial<Record<"makes" | "breaks", Strongswan>> = {};

const startPeer = (which: "makes" | "breaks") => {
  const tunnels = which === "makes" ? MAKES : BREAKS;
  return daemons.strongswan(which === "makes" ? NS.peer : NS.breaks, {
    settings: { make_before_break: which === "makes" ? "yes" : "no" },
    secrets: tunnels.map((t) => ({ owners: [t.theirs.name], secret: t.psk ?? "" })),
    connections: tunnels.map((t) => (t === SEVERAL ? severalConnection() : peerConnection(t))),
  });
};

daemons.forFile(async () => {
  const intent = gatewayIntent(NAME, [...MAKES, ...BREAKS]);
  const more = new Map(ALL.map((c) => [c.tunnel.id, c.ours]));
  const connections = intent.connections.map((c) =>
    c.id === SEVERAL.id ? severalIntent(c) : { ...c, ...more.get(c.id) },
  );
  [peers.makes, peers.breaks, agent] = await Promise.all([
    startPeer("makes"),
    startPeer("breaks"),
    daemons.agent(NS.ours, { intent: { ...intent, connections } }),
  ]);
});

function lab(name: CaseName) {
  const { tunnel } = CASES[name];
  const which = BREAKS.includes(tunnel) ? "breaks" : "makes";
  const peer = peers[which];
  if (!agent || !peer) throw new Error("the lab did not start");
  const pair = new Pair(agent, peer, { ours: NS.ours, theirs: which === "makes" ? NS.peer : NS.breaks });
  return { tunnel, pair, agent, peer };
}

describe("reauthentication", () => {
  const renewed = async (name: CaseName, from: "ours" | "theirs", timeoutMs: number) => {
    const { tunnel, pair } = lab(name);
    await pair.up(tunnel, from);
    const before = await pair.both(tunnel);
    return pair.settled(tunnel, (now) => now.theirs.uniqueId !== before.theirs.uniqueId, timeoutMs);
  };

  scenario(
    { proves: 22, role: "initiator" },
    "make before break, begun by us, loses no packet",
    async () => {
      const { tunnel, pair } = lab("make");
      await pair.up(tunnel, "ours");
      const before = await pair.both(tunnel);
      const traffic = await pair.during(tunnel, async () => {
        const after = await pair.settled(tunnel, (now) => now.theirs.uniqueId !== before.theirs.uniqueId, 15_000);
        expect(after.child.theirs.spiIn).not.toBe(before.child.theirs.spiIn);
        expect(after.theirs.initiator).toBe(false);
      });
      expect(traffic.lossPct).toBe(0);
    },
    30_000,
  );

  scenario(
    { proves: 22, role: "initiator" },
    "break before make, begun by us, comes back at once",
    async () => {
      const { tunnel, pair } = lab("break");
      const after = await renewed("break", "ours", 15_000);
      expect(after.ours.initiator).toBe(true);
      expect((await pair.ping(tunnel, 5)).received).toBe(5);
    },
    30_000,
  );

  scenario(
    { proves: 22, role: "responder" },
    "make before break, begun by strongSwan, loses no packet",
    async () => {
      const { tunnel, pair, peer } = lab("theirs");
      await pair.up(tunnel, "theirs");
      const before = await pair.both(tunnel);
      const traffic = await pair.during(tunnel, async () => {
        await peer.reauthenticate(tunnel.id);
        const after = await pair.settled(tunnel, (now) => now.theirs.uniqueId !== before.theirs.uniqueId);
        expect(after.ours.initiator).toBe(false);
      });
      expect(traffic.lossPct).toBe(0);
    },
    30_000,
  );

  scenario(
    { proves: 22, role: "responder" },
    "break before make, begun by strongSwan",
    async () => {
      const { tunnel, pair, peer } = lab("breaks");
      await pair.up(tunnel, "theirs");
      const before = await pair.both(tunnel);
      await peer.reauthenticate(tunnel.id);
      await pair.settled(tunnel, (now) => now.theirs.uniqueId !== before.theirs.uniqueId);
      expect((await pair.ping(tunnel, 5)).received).toBe(5);
    },
    30_000,
  );

  scenario(
    { proves: 22, role: "initiator" },
    "AUTH_LIFETIME of strongSwan: we authenticate anew before it is over",
    async () => {
      const { tunnel, pair, peer } = lab("asked");
      await renewed("asked", "ours", 20_000);
      expect(await peer.log(2_000)).toMatch(/AUTH_LFT|AUTH_LIFETIME/);
      expect((await pair.ping(tunnel, 5)).received).toBe(5);
    },
    40_000,
  );

  scenario(
    { proves: 22, role: "responder" },
    "AUTH_LIFETIME of ours: strongSwan authenticates anew before it is over",
    async () => {
      const { tunnel, pair, peer, agent: ours } = lab("asks");
      await renewed("asks", "theirs", 20_000);
      expect(await peer.log(2_000)).toContain("received AUTH_LIFETIME of 9s");
      expect((await ours.peer(tunnel.id)).lastError).toBeUndefined();
      expect((await pair.ping(tunnel, 5)).received).toBe(5);
    },
    40_000,
  );
});

describe("collisions", () => {
  const collide = async (act: (l: ReturnType<typeof lab>) => Promise<unknown>[]) => {
    const l = lab("collide");
    const up = (await l.peer.listSas(l.tunnel.id)).length > 0;
    if (!up) await l.pair.up(l.tunnel, "ours");
    await l.pair.both(l.tunnel);
    const traffic = await l.pair.during(l.tunnel, async () => {
      await Promise.allSettled(act(l));
      await l.pair.both(l.tunnel, 20_000);
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
    60_000,
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
    60_000,
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
    60_000,
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
      await pair.both(tunnel, 20_000);
      await Promise.allSettled([pair.rekey(tunnel, "child", "theirs"), ours.ask("down", { tunnel: tunnel.id, child })]);
      await pair.up(tunnel, "ours");
      await pair.both(tunnel, 20_000);
      expect((await pair.ping(tunnel, 10)).received).toBe(10);
    },
    60_000,
  );
});

describe("several CHILD SAs", () => {
  const names = ["several-net", "several-port"];
  const childrenOf = async () => {
    if (!agent || !peers.makes) throw new Error("the lab did not start");
    const ours = (await agent.peer(SEVERAL.id)).sas.flatMap((sa) => sa.children.map((c) => c.child));
    const theirs = (await peers.makes.listSas(SEVERAL.id)).flatMap((sa) => sa.children);
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
        if (!agent || !peers.makes) throw new Error("the lab did not start");
        for (const child of names) {
          if (by === "ours") await agent.ask("up", { tunnel: SEVERAL.id, child });
          else await peers.makes.initiate(child);
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
        else await peers.makes.terminate({ child: "several-port" });
        await settled(["several-net"]);
        expect((await ping(NS.ours, "fd00:2::1", { source: "fd00:1::1", count: 5 })).received).toBe(5);
        await agent.ask("down", { tunnel: SEVERAL.id });
        await eventually("both are gone", async () => (await childrenOf()).theirs.length === 0 || undefined);
      },
      40_000,
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
      peers.breaks = await startPeer("breaks");
      const again = lab("returns");
      await again.pair.up(tunnel, "theirs");
      const after = await again.pair.both(tunnel);
      expect(after.ours.serial).not.toBe(before.ours.serial);
      await eventually("the old one is gone", async () => (await ours.peer(tunnel.id)).sas.length === 1 || undefined);
      expect((await again.pair.ping(tunnel, 10)).received).toBe(10);
    },
    60_000,
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
      const after = await pair.both(tunnel, 20_000);
      expect(after.theirs.uniqueId).not.toBe(before.theirs.uniqueId);
      expect((await pair.ping(tunnel, 10)).received).toBe(10);
    },
    60_000,
  );
});
