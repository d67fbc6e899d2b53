import { IpAddress, Prefix } from "@sallyport/base";
import { disagreements } from "./agreement.js";
import { childOf, configOf, peerOf } from "./configs.js";
import { pair } from "./simulation.js";

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
