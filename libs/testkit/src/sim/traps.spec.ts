import { IpAddress, Prefix } from "@sallyport/base";
import type { ChildConfig } from "@sallyport/ike";
import { disagreements } from "./agreement.js";
import { childOf, configOf, peerOf, range } from "./configs.js";
import type { SimPeer } from "./sim-peer.js";
import { pair } from "./simulation.js";

function packet(peer: SimPeer, now: number, source: string, destination: string, protocol = 17, port?: number): void {
  const policy = [...peer.dataPlane.policies.values()].find((p) => p.direction === "out");
  if (!policy?.template) throw new Error("no trap");
  const selector = {
    source: Prefix.parse(source),
    destination: Prefix.parse(destination),
    protocol,
    ...(port === undefined ? {} : { sourcePort: 40_000, destinationPort: port }),
  };
  const { template } = policy;
  peer.handle({ on: "dataplane", now, event: { on: "acquire", reqid: template.reqid, selector, template } });
}

const trap = (more: Partial<ChildConfig> = {}) =>
  configOf(peerOf("a", { children: [childOf("a", { startAction: "trap", ...more })] }));

describe("traps (CORE-03)", () => {
  test("policies and routes stand before any SA; the first packet brings the tunnel up", () => {
    const { sim, a, b } = pair({ a: trap() });
    sim.run(5);
    expect(a.dataPlane.policies.size).toBe(3);
    expect([...a.dataPlane.routes.keys()]).toEqual(["10.2.0.0/16"]);
    expect(sim.network.carried).toBe(0);
    packet(a, sim.now, "10.1.0.5", "10.2.0.7", 6, 443);
    packet(a, sim.now, "10.1.0.5", "10.2.0.7", 6, 443);
    sim.run(1);
    expect(disagreements(a, b)).toEqual([]);
    expect(a.established()[0]?.children[0]?.local).toEqual([range("10.1.0.0/16")]);
    expect(sim.network.carried).toBe(4);
  });

  test("a packet on an IKE SA that stands makes only a CHILD SA, and another one none", () => {
    const { sim, a, b } = pair({ a: trap() });
    packet(a, 0, "10.1.0.5", "10.2.0.7");
    sim.run(1);
    a.command({ command: "terminate", peer: "b", child: "net" });
    sim.run(1);
    packet(a, sim.now, "10.1.0.5", "10.2.0.7");
    sim.run(1);
    packet(a, sim.now, "10.1.0.5", "10.2.0.7");
    sim.run(1);
    expect(disagreements(a, b)).toEqual([]);
    expect(a.of("ike-up")).toHaveLength(1);
    expect(a.of("child-up")).toHaveLength(2);
  });

  test("a failed attempt ends with the packet: the next one tries again", () => {
    const { sim, a, b } = pair({ a: trap(), b: configOf() });
    packet(a, 0, "10.1.0.5", "10.2.0.7");
    sim.run(100);
    expect(a.of("negotiation-failed")).toHaveLength(1);
    b.configure(configOf(peerOf("b")));
    packet(a, sim.now, "10.1.0.5", "10.2.0.7");
    sim.run(2);
    expect(disagreements(a, b)).toEqual([]);
  });

  test("a child to be started keeps its policies while it is down: nothing leaks", () => {
    const { sim, a } = pair({ b: configOf() });
    sim.run(30);
    expect(a.dataPlane.sas.size).toBe(0);
    expect(a.dataPlane.policies.size).toBe(3);
  });
});

describe("narrowing (RFC 7296 §2.9)", () => {
  test("the responder narrows to what it allows; policies and reqid are those of the narrower pair", () => {
    const wide = childOf("a", { remote: [range("10.0.0.0/8")] });
    const { sim, a, b } = pair({ a: configOf(peerOf("a", { children: [wide] })) });
    sim.run(1);
    expect(disagreements(a, b)).toEqual([]);
    expect(a.established()[0]?.children[0]?.remote).toEqual([range("10.2.0.0/16")]);
    const out = [...a.dataPlane.policies.values()].filter((p) => p.direction === "out");
    const narrow = out.find((p) => p.selector.destination.toString() === "10.2.0.0/16");
    const trapPolicy = out.find((p) => p.selector.destination.toString() === "10.0.0.0/8");
    expect(narrow?.template?.reqid).toBe(a.dataPlane.outbound()[0]?.reqid);
    expect(trapPolicy?.template?.reqid).not.toBe(narrow?.template?.reqid);
    expect(narrow?.priority).toBeLessThan(trapPolicy?.priority ?? 0);
  });

  test("the packet's own selector stands first, and the answer holds it", () => {
    const { sim, a, b } = pair({
      a: trap({ remote: [range("10.0.0.0/8")] }),
      b: configOf(peerOf("b", { children: [childOf("b", { local: [range("10.2.0.0/16"), range("10.7.0.0/16")] })] })),
    });
    packet(a, 0, "10.1.0.5", "10.7.0.7", 17, 53);
    sim.run(1);
    expect(disagreements(a, b)).toEqual([]);
    expect(a.established()[0]?.children[0]?.remote).toEqual(
      expect.arrayContaining([range("10.7.0.0/16"), range("10.2.0.0/16")]),
    );
  });

  test("of several children the one that fits best is taken", () => {
    const narrow = childOf("b", { id: "narrow", local: [range("10.2.5.0/24")] });
    const exact = childOf("b", { id: "exact" });
    const wide = childOf("b", { id: "wide", local: [range("10.0.0.0/8")] });
    const { sim, b } = pair({ b: configOf(peerOf("b", { children: [narrow, wide, exact] })) });
    sim.run(1);
    expect(b.established()[0]?.children[0]?.child).toBe("exact");
  });

  test("several ranges, protocols and ports, and two families", () => {
    const six = { first: IpAddress.parse("2001:db8:1::"), last: IpAddress.parse("2001:db8:1::ffff") };
    const seven = { first: IpAddress.parse("2001:db8:2::"), last: IpAddress.parse("2001:db8:2::ffff") };
    const v6 = (r: typeof six) => ({ ...r, protocol: 0, firstPort: 0, lastPort: 65_535 });
    const child = {
      a: childOf("a", { local: [range("10.1.0.0/16"), v6(six)], remote: [range("10.2.0.0/16", 6, 443), v6(seven)] }),
      b: childOf("b", { local: [range("10.2.0.0/16"), v6(seven)], remote: [range("10.1.0.0/16"), v6(six)] }),
    };
    const { sim, a, b } = pair({
      a: configOf(peerOf("a", { children: [child.a] })),
      b: configOf(peerOf("b", { children: [child.b] })),
    });
    sim.run(1);
    expect(disagreements(a, b)).toEqual([]);
    const outs = b.dataPlane
      .outbound()[0]
      ?.selectors.map((s) => `${s.source}[${s.sourcePort}]>${s.destination}/${s.protocol}`);
    expect(outs?.sort()).toEqual(["10.2.0.0/16[443]>10.1.0.0/16/6", "2001:db8:2::/112[undefined]>2001:db8:1::/112/0"]);
  });

  test("transport mode between the outer addresses", () => {
    const child = (mine: "a" | "b") => childOf(mine, { mode: "transport", local: [], remote: [] });
    const { sim, a, b } = pair({
      a: configOf(peerOf("a", { children: [child("a")] })),
      b: configOf(peerOf("b", { children: [child("b")] })),
    });
    sim.run(1);
    expect(disagreements(a, b)).toEqual([]);
    expect(a.dataPlane.outbound()[0]).toMatchObject({ mode: "transport" });
    expect([...a.dataPlane.policies.values()].map((p) => p.direction).sort()).toEqual(["in", "out"]);
  });

  test("tunnel and transport mode do not meet", () => {
    const { sim, a, b } = pair({
      a: configOf(peerOf("a", { children: [childOf("a", { mode: "transport" })] })),
    });
    sim.run(0.5);
    expect(a.peer("b")?.childErrors.net).toMatchObject({ ours: "transport", theirs: "tunnel" });
    expect(a.dataPlane.sas.size + b.dataPlane.sas.size).toBe(0);
  });
});
