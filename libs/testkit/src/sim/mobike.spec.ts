import { type Endpoint, IpAddress, Prefix } from "@sallyport/base";
import { type MobikeConfig, PEER_DEFAULTS, type PeerConfig } from "@sallyport/ike";
import { disagreements } from "./agreement.js";
import { ADDRESSES, configOf, peerOf } from "./configs.js";
import { type Pair, pair } from "./simulation.js";

const SECOND = "192.0.2.99";
const OTHER = "198.51.100.77";

const mobike = (more: Partial<MobikeConfig>): Pick<PeerConfig, "mobike"> => ({
  mobike: { ...PEER_DEFAULTS.mobike, ...more },
});
/** Takes the initiator from anywhere. */
const open = (more: Partial<PeerConfig> = {}) =>
  configOf(peerOf("b", { remote: { endpoint: undefined, accept: [Prefix.any(4)] }, passive: true, ...more }));

function up(options: Parameters<typeof pair>[0] = {}): Pair {
  const ends = pair({ b: open(), ...options });
  ends.sim.run(1);
  expect(ends.a.established()).toHaveLength(1);
  return ends;
}

const at = (endpoint: Endpoint | undefined) => endpoint && `${endpoint.address}`;

/** Both ends' IKE SA and ESP meet at these addresses. */
function meets({ a, b }: Pair, local: string, remote: string): void {
  const [x, y] = [a.established()[0], b.established()[0]];
  expect([at(x?.local), at(x?.remote), at(y?.local), at(y?.remote)]).toEqual([local, remote, remote, local]);
  for (const [end, here, there] of [[a, local, remote] as const, [b, remote, local] as const]) {
    expect(end.dataPlane.outbound().map((s) => [`${s.source}`, `${s.destination}`])).toEqual([[here, there]]);
    expect(end.dataPlane.inbound().map((s) => [`${s.source}`, `${s.destination}`])).toEqual([[there, here]]);
    for (const { direction, template } of end.dataPlane.policies.values()) {
      const ends = [`${template?.source}`, `${template?.destination}`];
      expect(ends).toEqual(direction === "out" ? [here, there] : [there, here]);
    }
  }
  expect(disagreements(a, b)).toEqual([]);
}

describe("MOBIKE", () => {
  test("both ends float to 4500 although there is no NAT, and ESP stays outside UDP", () => {
    const ends = up();
    expect(ends.a.established()[0]).toMatchObject({ local: { port: 4500 }, remote: { port: 4500 } });
    expect(ends.a.dataPlane.outbound()[0]?.encapsulation).toBeUndefined();
    meets(ends, ADDRESSES.a, ADDRESSES.b);
  });

  test("the question at a new address carries a view of it too, beside which alone some peers return COOKIE2 (RFC 4555 §3.8)", () => {
    const { sim, a, b } = up();
    b.command({ command: "trace", peer: "a", on: true });
    sim.readdress(a, SECOND);
    sim.run(1);
    const asked = b.traces.filter(({ direction, lines }) => direction === "out" && / request /.test(lines[0] ?? ""));
    expect(asked).toHaveLength(1);
    const names = asked[0]?.lines.slice(1).map((line) => line.trim().split(" ")[1]);
    expect(names).toEqual(["NAT_DETECTION_SOURCE_IP", "NAT_DETECTION_DESTINATION_IP", "COOKIE2"]);
  });

  test("an initiator whose address is gone before there is another stays where it was until then", () => {
    const ends = up();
    const { sim, a } = ends;
    // A route without a source is all that Linux has for a moment.
    const { source } = a;
    a.source = () => IpAddress.parse("0.0.0.0");
    a.networkChanged();
    sim.run(0.1);
    expect(at(a.established()[0]?.local)).toBe(ADDRESSES.a);
    a.source = source;
    sim.readdress(a, SECOND);
    sim.run(1);
    meets(ends, SECOND, ADDRESSES.b);
  });

  test("an initiator whose address is replaced takes its SAs along, without a new IKE SA", () => {
    const ends = up();
    const { sim, a, b } = ends;
    const before = a.established()[0];
    sim.readdress(a, SECOND);
    sim.run(1);
    meets(ends, SECOND, ADDRESSES.b);
    expect(a.established()[0]?.serial).toBe(before?.serial);
    expect(a.established()[0]?.children[0]?.spiIn).toBe(before?.children[0]?.spiIn);
    expect(a.of("moved")).toHaveLength(1);
    expect(b.of("peer-moved").map((e) => at(e.from))).toEqual([ADDRESSES.a]);
    expect([a, b].flatMap((end) => end.of("ike-down"))).toEqual([]);
  });

  test("a request that waits for its answer goes on from the new address", () => {
    const ends = up();
    const { sim, a } = ends;
    sim.network.cut.add(`${ADDRESSES.a}>${ADDRESSES.b}`);
    a.command({ command: "rekey-child", peer: "b", child: "net" });
    sim.run(0.2);
    sim.readdress(a, SECOND);
    sim.run(5);
    meets(ends, SECOND, ADDRESSES.b);
    expect(a.of("child-rekeyed")).toHaveLength(1);
  });

  test("a second move during the first ends where the second led", () => {
    const ends = up();
    const { sim, a } = ends;
    sim.readdress(a, SECOND);
    sim.run(0.005);
    sim.readdress(a, "192.0.2.50");
    sim.run(2);
    meets(ends, "192.0.2.50", ADDRESSES.b);
  });

  test("rekeys of IKE and CHILD SAs go on after a move, begun by either end", () => {
    const ends = up();
    const { sim, a, b } = ends;
    sim.readdress(a, SECOND);
    sim.run(1);
    for (const [end, peer] of [[a, "b"] as const, [b, "a"] as const]) {
      end.command({ command: "rekey-ike", peer });
      sim.run(15);
      end.command({ command: "rekey-child", peer, child: "net" });
      sim.run(15);
      meets(ends, SECOND, ADDRESSES.b);
    }
    // Who began the first IKE SA still decides, although the last one was begun by the other end.
    expect(a.established()[0]?.initiator).toBe(false);
    sim.readdress(a, ADDRESSES.a);
    sim.run(1);
    meets(ends, ADDRESSES.a, ADDRESSES.b);
  });

  test("a move behind a NAT is found out, and one back into the open too", () => {
    const ends = up();
    const { sim, a, b } = ends;
    sim.network.addNat(SECOND, "203.0.113.7");
    sim.readdress(a, SECOND);
    sim.run(1);
    expect(a.established()[0]?.nat).toMatchObject({ local: true });
    expect(b.established()[0]).toMatchObject({ nat: { remote: true }, remote: { port: 20_000 } });
    expect(a.dataPlane.outbound()[0]?.encapsulation).toEqual({ sourcePort: 4500, destinationPort: 4500 });
    expect(b.dataPlane.outbound()[0]).toMatchObject({
      destination: IpAddress.parse("203.0.113.7"),
      encapsulation: { sourcePort: 4500, destinationPort: 20_000 },
    });
    sim.readdress(a, ADDRESSES.a);
    sim.run(1);
    meets(ends, ADDRESSES.a, ADDRESSES.b);
    expect(a.established()[0]?.nat).toMatchObject({ local: false, remote: false });
    expect(b.dataPlane.outbound()[0]?.encapsulation).toBeUndefined();
  });

  test("an initiator behind a NAT learns of a new mapping by its liveness checks", () => {
    const { sim, a, b } = up({ nat: "203.0.113.7" });
    sim.network.rebindNats();
    a.command({ command: "probe", peer: "b" });
    sim.run(1);
    expect(b.established()[0]?.remote.port).toBe(20_002);
    expect(b.dataPlane.outbound()[0]?.encapsulation).toEqual({ sourcePort: 4500, destinationPort: 20_002 });
    expect(disagreements(a, b)).toEqual([]);
  });

  test("without an update a responder does not follow, wherever valid messages come from", () => {
    const { sim, a, b } = up();
    sim.network.taps.push((packet) =>
      at(packet.from) === ADDRESSES.a ? { ...packet, from: { ...packet.from, port: 7777 } } : packet,
    );
    a.command({ command: "probe", peer: "b" });
    sim.run(1);
    expect(b.established()[0]?.remote).toMatchObject({ port: 4500 });
    expect(b.of("peer-moved")).toEqual([]);
  });
});

describe("a responder with several addresses", () => {
  function multihomed(): Pair {
    const ends = pair({ b: open() });
    ends.sim.readdress(ends.b, ADDRESSES.b, OTHER);
    ends.sim.run(1);
    return ends;
  }

  test("is reached at another one when the path to the first dies", () => {
    const ends = multihomed();
    const { sim, a, b } = ends;
    for (const way of [`${ADDRESSES.a}>${ADDRESSES.b}`, `${ADDRESSES.b}>${ADDRESSES.a}`]) sim.network.cut.add(way);
    a.command({ command: "probe", peer: "b" });
    sim.run(6);
    meets(ends, ADDRESSES.a, OTHER);
    expect([a, b].flatMap((end) => [...end.of("ike-down"), ...end.of("peer-dead")])).toEqual([]);
  });

  test("is followed when it loses the address in use", () => {
    const ends = multihomed();
    const { sim, b } = ends;
    sim.readdress(b, OTHER);
    sim.run(3);
    meets(ends, ADDRESSES.a, OTHER);
  });

  test("tells of an address that it gains", () => {
    const ends = multihomed();
    const { sim, a, b } = ends;
    sim.readdress(b, ADDRESSES.b, "198.51.100.88");
    sim.run(1);
    for (const way of [`${ADDRESSES.a}>${ADDRESSES.b}`, `${ADDRESSES.b}>${ADDRESSES.a}`]) sim.network.cut.add(way);
    a.command({ command: "probe", peer: "b" });
    sim.run(6);
    meets(ends, ADDRESSES.a, "198.51.100.88");
  });

  test("tells no address that a child has inside, unless it is told to", () => {
    const ends = pair({ b: open() });
    const { sim, a, b } = ends;
    sim.readdress(b, ADDRESSES.b, "10.2.0.1");
    sim.run(1);
    for (const way of [`${ADDRESSES.a}>${ADDRESSES.b}`, `${ADDRESSES.b}>${ADDRESSES.a}`]) sim.network.cut.add(way);
    a.command({ command: "probe", peer: "b" });
    sim.run(6);
    expect(at(a.established()[0]?.remote)).toBe(ADDRESSES.b);
  });
});

describe("moves that are refused", () => {
  test("from where the responder takes nobody: the initiator says so and goes back", () => {
    const ends = up({ b: open(mobike({ acceptFrom: [Prefix.parse(`${ADDRESSES.a}/32`)] })) });
    const { sim, a, b } = ends;
    a.source = () => IpAddress.parse(SECOND);
    sim.readdress(a, ADDRESSES.a, SECOND);
    sim.run(2);
    expect(b.count("move-refused")).toBe(1);
    expect(a.of("negotiation-failed").map((e) => e.error.code)).toEqual(["ike/unacceptable-addresses"]);
    meets(ends, ADDRESSES.a, ADDRESSES.b);
  });

  test("through a NAT that the initiator forbids", () => {
    const ends = up({ a: configOf(peerOf("a", mobike({ forbidNat: true }))) });
    const { sim, a } = ends;
    expect(a.established()[0]).toMatchObject({ local: { port: 500 }, remote: { port: 500 } });
    sim.network.addNat(SECOND, "203.0.113.7");
    a.source = () => IpAddress.parse(SECOND);
    sim.readdress(a, ADDRESSES.a, SECOND);
    sim.run(2);
    expect(a.of("negotiation-failed").map((e) => e.error.code)).toEqual(["ike/unexpected-nat"]);
    meets(ends, ADDRESSES.a, ADDRESSES.b);
  });

  test("an initiator that forbids NATs is not authenticated through one", () => {
    const a = configOf(peerOf("a", mobike({ forbidNat: true })));
    const { sim, a: caller } = pair({ a, b: open(), nat: "203.0.113.7" });
    sim.run(1);
    expect(caller.established()).toEqual([]);
  });
});

test.each([
  ["the initiator", { enabled: false }, {}],
  ["the responder", {}, { enabled: false }],
])("where %s does not speak MOBIKE, a new address takes a new IKE SA", (_, a_, b_) => {
  const { sim, a, b } = up({ a: configOf(peerOf("a", mobike(a_))), b: open(mobike(b_)) });
  sim.readdress(a, SECOND);
  a.configure(configOf(peerOf("a", { ...mobike(a_), local: { address: IpAddress.parse(SECOND), port: 500 } })));
  sim.run(60);
  expect(at(a.established()[0]?.local)).toBe(SECOND);
  expect(at(b.established().at(-1)?.remote)).toBe(SECOND);
});

test("moves in bad weather: wherever the initiator ends, both ends are there", () => {
  for (let seed = 1; seed <= 40; seed++) {
    const ends = up({ seed });
    const { sim, a } = ends;
    sim.faults({ loss: 0.25, duplication: 0.2, delay: 20, jitter: 60 });
    const stops = ["192.0.2.21", "192.0.2.22", "192.0.2.23"];
    for (const [i, address] of stops.entries()) {
      sim.readdress(a, address);
      if (i === 1) a.command({ command: "rekey-ike", peer: "b" });
      if (i === 2) a.command({ command: "rekey-child", peer: "b", child: "net" });
      sim.run(sim.rng.fraction() * 3);
    }
    sim.faults({ loss: 0, duplication: 0, jitter: 0 });
    sim.run(90);
    meets(ends, stops.at(-1) ?? "", ADDRESSES.b);
  }
});
