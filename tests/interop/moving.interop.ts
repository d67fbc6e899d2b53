import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  type Agent,
  eventually,
  layOut,
  type PeerConnection,
  remove,
  type Strongswan,
  startAgent,
  startStrongswan,
  type Topology,
} from "@sallyport/testkit";
import {
  type BothEnds,
  connectionIntent,
  DATA_PLANE,
  gatewayIntent,
  Pair,
  PEER_DATA_PLANE,
  peerConnection,
  type TunnelCase,
} from "./lab.js";
import { scenario } from "./scenario.js";

const NS = { ours: "sp-mov-ours", net: "sp-mov-net", theirs: "sp-mov-theirs" };

/** Both ends on one router, each with two links to it. */
const TOPOLOGY: Topology = {
  namespaces: [
    { name: NS.ours, loopback: ["10.1.1.1/32"] },
    { name: NS.net, forwards: true },
    { name: NS.theirs, loopback: ["10.2.1.1/32"] },
  ],
  cables: [
    [
      { namespace: NS.ours, device: "first", addresses: ["192.0.2.2/25"] },
      { namespace: NS.net, device: "ours1", addresses: ["192.0.2.1/25"] },
    ],
    [
      { namespace: NS.ours, device: "second", addresses: ["192.0.2.130/25"] },
      { namespace: NS.net, device: "ours2", addresses: ["192.0.2.129/25"] },
    ],
    [
      { namespace: NS.theirs, device: "first", addresses: ["198.51.100.2/25"] },
      { namespace: NS.net, device: "theirs1", addresses: ["198.51.100.1/25"] },
    ],
    [
      { namespace: NS.theirs, device: "second", addresses: ["198.51.100.130/25"] },
      { namespace: NS.net, device: "theirs2", addresses: ["198.51.100.129/25"] },
    ],
  ],
};
const OURS = { name: "ours.test", address: "192.0.2.2", subnet: "10.1.1.0/24", host: "10.1.1.1" };
const THEIRS = { name: "theirs.test", address: "198.51.100.2", subnet: "10.2.1.0/24", host: "10.2.1.1" };
const SECOND = { ours: "192.0.2.130", theirs: "198.51.100.130" };
const ROUTER = { ours: ["192.0.2.1", "192.0.2.129"], theirs: ["198.51.100.1", "198.51.100.129"] } as const;
const TUNNEL: TunnelCase = {
  id: "roaming",
  auth: "psk",
  psk: "on the road again",
  ike: ["aes256gcm16-prfsha256-x25519"],
  esp: ["aes256gcm16-x25519"],
  ours: OURS,
  theirs: THEIRS,
};
const SECRETS = [{ owners: [OURS.name, THEIRS.name], secret: TUNNEL.psk ?? "" }];

async function ip(namespace: string, ...args: string[]): Promise<void> {
  const child = spawn("ip", ["-n", namespace, ...args], { stdio: "ignore" });
  const [code] = await once(child, "exit");
  if (code !== 0) throw new Error(`ip -n ${namespace} ${args.join(" ")} failed`);
}

/** From now on everything leaves by link number `link`, from that link's address. */
async function routeBy(end: "ours" | "theirs", link: 0 | 1): Promise<void> {
  await ip(NS[end], "route", "replace", "default", "via", ROUTER[end][link]);
}

let agent: Agent | undefined;
let peer: Strongswan | undefined;

beforeEach(async () => {
  await remove(TOPOLOGY);
  await layOut(TOPOLOGY);
  await Promise.all([routeBy("ours", 0), routeBy("theirs", 0)]);
}, 30_000);
afterEach(async () => {
  await Promise.all([agent?.stop(), peer?.stop()]);
  agent = undefined;
  peer = undefined;
}, 30_000);
afterAll(() => remove(TOPOLOGY), 30_000);

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
  peer = await startStrongswan({
    namespace: NS.theirs,
    dataPlane: PEER_DATA_PLANE,
    secrets: SECRETS,
    connections: [connection],
  });
  agent = await startAgent({
    namespace: NS.ours,
    dataPlane: DATA_PLANE,
    intent: initiator === "ours" ? intent : { ...intent, connections: [passive] },
  });
  const pair = new Pair(agent, peer, { ours: NS.ours, theirs: NS.theirs });
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
  return pair.settled(TUNNEL, (ends) => JSON.stringify(between(ends)) === wanted, 20_000);
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
    async () => (await pair.ping(TUNNEL, 3)).received === 3 || undefined,
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
        await routeBy("ours", 1);
        await movesTo(pair, SECOND.ours, THEIRS.address);
      });
      same(before, await pair.both(TUNNEL));
      expect(traffic.sent - traffic.received).toBeLessThan(10);
      await passes(pair);
    },
    60_000,
  );

  scenario(
    { proves: 21, role: "initiator" },
    "because its address is gone, and back again; then rekeys where it is",
    async () => {
      const pair = await connect("ours");
      const before = await pair.both(TUNNEL);
      await ip(NS.ours, "addr", "del", `${OURS.address}/25`, "dev", "first");
      await routeBy("ours", 1);
      same(before, await movesTo(pair, SECOND.ours, THEIRS.address));
      await passes(pair);
      await ip(NS.ours, "addr", "add", `${OURS.address}/25`, "dev", "first");
      await ip(NS.ours, "addr", "del", `${SECOND.ours}/25`, "dev", "second");
      await routeBy("ours", 0);
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
    90_000,
  );

  scenario(
    { proves: 21, role: "initiator" },
    "the peer's address in use stops answering: another one that it told is used",
    async () => {
      const pair = await connect("ours");
      const before = await pair.both(TUNNEL);
      await ip(NS.net, "route", "add", "blackhole", `${THEIRS.address}/32`);
      await agent?.ask("rekey", { tunnel: TUNNEL.id, child: `${TUNNEL.id}-net` });
      const after = await movesTo(pair, OURS.address, SECOND.theirs);
      expect(after.ours.spiInitiator).toBe(before.ours.spiInitiator);
      await passes(pair);
    },
    90_000,
  );
});

describe("the peer moves", () => {
  scenario(
    { proves: 21, role: "responder" },
    "to another link: the same SAs at both ends, and traffic both ways",
    async () => {
      const pair = await connect("theirs");
      const before = await pair.both(TUNNEL);
      await ip(NS.theirs, "addr", "del", `${THEIRS.address}/25`, "dev", "first");
      await routeBy("theirs", 1);
      same(before, await movesTo(pair, OURS.address, SECOND.theirs));
      await passes(pair);
    },
    60_000,
  );

  scenario(
    { proves: 21, role: "responder" },
    "our address in use is gone: the peer is told of another and goes there",
    async () => {
      const pair = await connect("theirs");
      const before = await pair.both(TUNNEL);
      await ip(NS.ours, "addr", "del", `${OURS.address}/25`, "dev", "first");
      await routeBy("ours", 1);
      const after = await movesTo(pair, SECOND.ours, THEIRS.address);
      expect(after.ours.spiInitiator).toBe(before.ours.spiInitiator);
      await passes(pair);
    },
    60_000,
  );
});
