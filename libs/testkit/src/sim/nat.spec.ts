import { IpAddress, Prefix } from "@sallyport/base";
import type { ChildConfig, PeerConfig } from "@sallyport/ike";
import { disagreements } from "./agreement.js";
import { ADDRESSES, childOf, configOf, peerOf, range } from "./configs.js";
import type { SimPeer } from "./sim-peer.js";
import { pair } from "./simulation.js";

const utf8 = new TextEncoder();

const anywhere = [Prefix.any(4)];

/** Responder that takes the initiator from wherever the NAT puts it. */
const open = () => configOf(peerOf("b", { remote: { endpoint: undefined, accept: anywhere }, passive: true }));

describe("NAT traversal", () => {
  test("an initiator behind a NAT floats to 4500 and ESP goes inside UDP", () => {
    const { sim, a, b } = pair({ b: open(), nat: "203.0.113.7" });
    sim.run(1);
    expect(a.established()[0]).toMatchObject({
      nat: { local: true, remote: false },
      local: { port: 4500 },
      remote: { port: 4500 },
    });
    expect(b.established()[0]).toMatchObject({ nat: { local: false, remote: true }, remote: { port: 20_001 } });
    expect(b.dataPlane.outbound()[0]).toMatchObject({
      destination: IpAddress.parse("203.0.113.7"),
      encapsulation: { sourcePort: 4500, destinationPort: 20_001 },
    });
    expect(a.established()[0]?.children[0]?.encapsulated).toBe(true);
  });

  test("a new mapping is followed, SAs included, as soon as an authenticated message comes over it", () => {
    const { sim, a, b } = pair({ b: open(), nat: "203.0.113.7" });
    sim.run(1);
    sim.network.rebindNats();
    a.command({ command: "probe", peer: "b" });
    sim.run(1);
    expect(b.of("peer-moved")).toHaveLength(1);
    const port = b.established()[0]?.remote.port;
    expect(port).toBe(20_002);
    expect(b.dataPlane.outbound()[0]?.encapsulation).toEqual({ sourcePort: 4500, destinationPort: port });
    expect(b.dataPlane.inbound()[0]?.encapsulation).toEqual({ sourcePort: port, destinationPort: 4500 });
    expect(a.established()).toHaveLength(1);
  });

  test("the data plane's word that the mapping changed is followed too", () => {
    const { sim, b } = pair({ b: open(), nat: "203.0.113.7" });
    sim.run(1);
    const sa = b.dataPlane.inbound()[0];
    if (!sa) throw new Error("no SA");
    const to = { address: IpAddress.parse("203.0.113.8"), port: 33_333 };
    b.handle({ on: "dataplane", now: sim.now, event: { on: "mapping-changed", sa, reqid: sa.reqid, from: to, to } });
    expect(b.established()[0]?.remote).toEqual(to);
    expect(b.dataPlane.outbound()[0]).toMatchObject({ destination: to.address });
    expect(
      [...b.dataPlane.policies.values()].every(
        (p) => p.direction !== "out" || p.template?.destination.equals(to.address),
      ),
    ).toBe(true);
  });

  test("keepalives go out on the side that the NAT is on, and only there", () => {
    const { sim, a, b } = pair({ b: open(), nat: "203.0.113.7" });
    sim.run(100);
    expect(a.keepalives).toBeGreaterThan(2);
    expect(b.keepalives).toBe(0);
  });

  test("who begins on the port of NAT traversal stays there, through a NAT and without one", () => {
    for (const nat of [undefined, "203.0.113.7"]) {
      const to = { address: IpAddress.parse(ADDRESSES.b), port: 4500 };
      const caller = peerOf("a", { remote: { endpoint: to, accept: anywhere } });
      const ports = new Set<string>();
      const { sim, a, b } = pair({ a: configOf(), b: open(), ...(nat ? { nat } : {}) });
      sim.network.taps.push((packet) => {
        ports.add(`${packet.from.port} > ${packet.to.port}`);
        return packet;
      });
      a.configure(configOf(caller));
      sim.run(1);
      expect(disagreements(a, b)).toEqual([]);
      expect([...ports]).toEqual(nat ? ["4500 > 4500", "4500 > 20000"] : ["4500 > 4500"]);
    }
  });

  test("forced encapsulation claims a NAT where there is none", () => {
    const { sim, a, b } = pair({ a: configOf(peerOf("a", { forceEncapsulation: true })) });
    sim.run(1);
    expect(disagreements(a, b)).toEqual([]);
    expect(a.established()[0]).toMatchObject({
      nat: { local: false, remote: false, forced: true },
      remote: { port: 4500 },
    });
    for (const end of [a, b])
      expect(end.dataPlane.outbound()[0]?.encapsulation).toEqual({ sourcePort: 4500, destinationPort: 4500 });
  });

  test("a responder can force encapsulation too", () => {
    const { sim, a, b } = pair({ b: configOf(peerOf("b", { forceEncapsulation: true, children: [childOf("b")] })) });
    sim.run(1);
    expect(disagreements(a, b)).toEqual([]);
    for (const end of [a, b])
      expect(end.dataPlane.inbound()[0]?.encapsulation).toEqual({ sourcePort: 4500, destinationPort: 4500 });
  });
});

describe("transport mode through a NAT (RFC 7296 §2.23.1)", () => {
  const NAT = "203.0.113.7";
  const transport = (mine: "a" | "b", more: Partial<ChildConfig> = {}) =>
    childOf(mine, { mode: "transport", local: [], remote: [], routes: false, ...more });
  const server = () =>
    configOf(
      peerOf("b", {
        remote: { endpoint: undefined, accept: anywhere },
        passive: true,
        remoteAuth: [{ method: "psk", identity: { match: "any" }, secrets: [utf8.encode("a secret of some length")] }],
        children: [transport("b")],
      }),
    );
  const client = () => configOf(peerOf("a", { children: [transport("a")] }));
  const ends = (peer: SimPeer) => {
    const child = peer.established()[0]?.children[0];
    return [child?.mode, `${child?.local[0]?.first}`, `${child?.remote[0]?.first}`];
  };

  test("each end has the selectors that its own packets match", () => {
    const { sim, a, b } = pair({ a: client(), b: server(), nat: NAT });
    sim.run(1);
    expect(ends(a)).toEqual(["transport", ADDRESSES.a, ADDRESSES.b]);
    expect(ends(b)).toEqual(["transport", ADDRESSES.b, NAT]);
    expect(b.dataPlane.outbound()[0]?.selectors.map((s) => `${s.source} > ${s.destination}`)).toEqual([
      `${ADDRESSES.b}/32 > ${NAT}/32`,
    ]);
    a.command({ command: "rekey-child", peer: "b", child: "net" });
    sim.run(5);
    b.command({ command: "rekey-child", peer: "a", child: "net" });
    sim.run(5);
    expect([ends(a), ends(b)]).toEqual([
      ["transport", ADDRESSES.a, ADDRESSES.b],
      ["transport", ADDRESSES.b, NAT],
    ]);
  });

  test("before the responder, and before both", () => {
    for (const nats of [[ADDRESSES.b], [ADDRESSES.a, ADDRESSES.b]]) {
      const to = { address: IpAddress.parse("203.0.113.99"), port: 500 };
      const caller = peerOf("a", { remote: { endpoint: to, accept: [] }, children: [transport("a")] });
      const { sim, a, b } = pair({ a: configOf(), b: server() });
      for (const inside of nats) sim.network.addNat(inside, inside === ADDRESSES.b ? "203.0.113.99" : NAT);
      sim.network.forward("203.0.113.99", ADDRESSES.b);
      a.configure(configOf(caller));
      sim.run(2);
      expect(ends(a)).toEqual(["transport", ADDRESSES.a, "203.0.113.99"]);
      expect(ends(b)).toEqual(["transport", ADDRESSES.b, nats.length === 2 ? NAT : ADDRESSES.a]);
    }
  });

  function neighbours(protocolOf: (i: number) => Partial<ChildConfig>) {
    const { sim, a, b } = pair({ a: configOf(), b: server(), nat: NAT });
    const second = "192.0.2.3";
    sim.network.addNat(second, NAT);
    const c = sim.addPeer("c", second);
    for (const [i, peer] of [a, c].entries()) {
      const name = i === 0 ? "a.example" : "c.example";
      const [round] = peerOf("a").localAuth;
      const local = { address: peer.address, port: 500 };
      const localAuth = [{ ...round, identity: { type: "fqdn", name } }] as PeerConfig["localAuth"];
      peer.configure(configOf(peerOf("a", { local, localAuth, children: [transport("a", protocolOf(i))] })));
      sim.run(3);
    }
    return { sim, a, b, c };
  }

  test("a second peer behind the same NAT gets no packets of the first: it is refused the same flow", () => {
    const { a, b, c } = neighbours(() => ({}));
    expect(a.established()[0]?.children).toHaveLength(1);
    expect(c.established()[0]?.children).toEqual([]);
    expect(c.peer("b")?.childErrors.net).toMatchObject({ code: "ike/ts-unacceptable" });
    expect(b.of("negotiation-failed").at(-1)?.error.message).toMatch(/same NAT/);
    expect(b.dataPlane.outbound()).toHaveLength(1);
  });

  test("different ports behind the same NAT are different flows", () => {
    const { a, b, c } = neighbours((i) => ({
      local: [range(`${i === 0 ? ADDRESSES.a : "192.0.2.3"}/32`, 17, 40_000 + i)],
      remote: [range(`${ADDRESSES.b}/32`, 17, 1_701)],
    }));
    for (const client of [a, c]) expect(client.established()[0]?.children).toHaveLength(1);
    expect(b.dataPlane.outbound().flatMap((s) => s.selectors.map((x) => x.destinationPort))).toEqual([40_000, 40_001]);
    expect(new Set(b.dataPlane.outbound().map((s) => s.encapsulation?.destinationPort)).size).toBe(2);
  });
});
