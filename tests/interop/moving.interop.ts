import { eventually, type PeerConnection } from "@sallyport/testkit";
import { againstStrongswan } from "./daemons.js";
import { type BothEnds, connectionIntent, DATA_PLANE, gatewayIntent, type Pair, peerConnection } from "./lab.js";
import { OURS, Roaming, SECOND, THEIRS, TUNNEL } from "./moving-lab.js";
import { scenario } from "./scenario.js";

const roaming = new Roaming("sp-mov");
const lab = againstStrongswan(roaming.ends, roaming.topology).forEachTest(() => roaming.settle());

async function connect(initiator: "ours" | "theirs", theirs: Partial<PeerConnection> = {}): Promise<Pair> {
  const connection = {
    ...peerConnection(TUNNEL),
    localAddress: "%any",
    remoteAddress: initiator === "ours" ? "%any" : OURS.address,
    mobike: true,
    ...theirs,
  };
  const intent = gatewayIntent(OURS.name, [TUNNEL]);
  const passive = {
    ...connectionIntent(TUNNEL),
    role: "responder",
    remote: { ports: { ike: 500, natt: 4500 } },
  } as const;
  const pair = await lab.start({
    peer: { secrets: [{ owners: [OURS.name, THEIRS.name], secret: TUNNEL.psk ?? "" }], connections: [connection] },
    agent: { intent: initiator === "ours" ? intent : { ...intent, connections: [passive] } },
  });
  await pair.up(TUNNEL, initiator);
  return pair;
}

/** Between which addresses the tunnel runs, as both ends say. */
const between = ({ ours, theirs }: BothEnds) => ({
  ours: [String(ours.local.address), String(ours.remote.address)],
  theirs: [theirs.remoteHost, theirs.localHost],
});
const on = (ours: string, theirs: string) => ({ ours: [ours, theirs], theirs: [ours, theirs] });

async function movesTo(pair: Pair, ours: string, theirs: string): Promise<BothEnds> {
  const wanted = JSON.stringify(on(ours, theirs));
  return pair.settled(TUNNEL, (ends) => JSON.stringify(between(ends)) === wanted);
}

/** The IKE SA of before, and its CHILD SA too where the peer's data plane can move one: libipsec cannot, charon rekeys then. */
const same = (a: BothEnds, b: BothEnds) => {
  expect(b.ours.spiInitiator).toBe(a.ours.spiInitiator);
  if (DATA_PLANE === "kernel")
    expect([b.child.ours.spiIn, b.child.ours.spiOut]).toEqual([a.child.ours.spiIn, a.child.ours.spiOut]);
};

/** Pings until they come through, at most for some seconds: an SA is on its new path a moment after both ends say so. */
async function passes(pair: Pair): Promise<void> {
  await eventually(
    "traffic passes after the move",
    async () => (await pair.ping(TUNNEL, 3, { waitMs: 1_000 })).received === 3 || undefined,
  );
  expect(await pair.ping(TUNNEL, 20)).toMatchObject({ sent: 20, received: 20 });
}

describe("our end moves", () => {
  scenario(
    { proves: 21, role: "initiator" },
    "to another link, its first still there: the same SAs, and packets go on",
    async () => {
      const pair = await connect("ours");
      const before = await pair.both(TUNNEL);
      expect(between(before)).toEqual(on(OURS.address, THEIRS.address));
      const traffic = await pair.during(TUNNEL, async () => {
        await roaming.routeBy("ours", 1);
        await movesTo(pair, SECOND.ours, THEIRS.address);
      });
      same(before, await pair.both(TUNNEL));
      expect(traffic.sent - traffic.received).toBeLessThan(10);
      await passes(pair);
    },
    120_000,
  );

  scenario(
    { proves: 21, role: "initiator" },
    "because its address is gone, and back again; then rekeys where it is",
    async () => {
      const pair = await connect("ours");
      const before = await pair.both(TUNNEL);
      await roaming.address("ours", "del", 0);
      await roaming.routeBy("ours", 1);
      same(before, await movesTo(pair, SECOND.ours, THEIRS.address));
      await passes(pair);
      await roaming.address("ours", "add", 0);
      await roaming.address("ours", "del", 1);
      await roaming.routeBy("ours", 0);
      same(before, await movesTo(pair, OURS.address, THEIRS.address));
      await passes(pair);
      for (const what of ["child", "ike"] as const) {
        const was = await pair.both(TUNNEL);
        await pair.rekey(TUNNEL, what, "ours");
        await pair.settled(TUNNEL, ({ theirs, child }) =>
          what === "ike"
            ? theirs.initiatorSpi !== was.theirs.initiatorSpi
            : child.theirs.spiIn !== was.child.theirs.spiIn,
        );
      }
      await passes(pair);
    },
    120_000,
  );

  scenario(
    { proves: 21, role: "initiator" },
    "the peer's address in use stops answering: another one that it told is used",
    async () => {
      const pair = await connect("ours");
      const before = await pair.both(TUNNEL);
      await roaming.run(roaming.router, "ip", "route", "add", "blackhole", `${THEIRS.address}/32`);
      await lab.agent.ask("rekey", { tunnel: TUNNEL.id, child: `${TUNNEL.id}-net` });
      const after = await movesTo(pair, OURS.address, SECOND.theirs);
      expect(after.ours.spiInitiator).toBe(before.ours.spiInitiator);
      await passes(pair);
    },
    120_000,
  );
});

describe("the peer moves", () => {
  scenario(
    { proves: 21, role: "responder" },
    "to another link: the same SAs at both ends, and traffic both ways",
    async () => {
      const pair = await connect("theirs");
      const before = await pair.both(TUNNEL);
      await roaming.address("theirs", "del", 0);
      await roaming.routeBy("theirs", 1);
      same(before, await movesTo(pair, OURS.address, SECOND.theirs));
      await passes(pair);
    },
    120_000,
  );

  scenario(
    { proves: 21, role: "responder" },
    "our address in use is gone: the peer is told of another and goes there",
    async () => {
      const pair = await connect("theirs");
      const before = await pair.both(TUNNEL);
      await roaming.address("ours", "del", 0);
      await roaming.routeBy("ours", 1);
      const after = await movesTo(pair, SECOND.ours, THEIRS.address);
      expect(after.ours.spiInitiator).toBe(before.ours.spiInitiator);
      await passes(pair);
    },
    120_000,
  );
});
