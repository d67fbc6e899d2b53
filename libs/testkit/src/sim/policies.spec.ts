import { IpAddress, Prefix } from "@sallyport/base";
import type { IkeConfig, ShuntConfig } from "@sallyport/ike";
import { disagreements } from "./agreement.js";
import { childOf, configOf, peerOf, range, shuntOf } from "./configs.js";
import type { SimPeer } from "./sim-peer.js";
import { pair, Simulation } from "./simulation.js";

const withShunts = (...shunts: ShuntConfig[]): IkeConfig => ({ ...configOf(peerOf("a")), shunts });

/** What the data plane does with packets out of this end, by destination. */
const outward = (peer: SimPeer) =>
  Object.fromEntries(
    [...peer.dataPlane.policies.values()]
      .filter((p) => p.direction === "out")
      .map((p) => [`${p.selector.destination}`, `${p.action} ${p.priority}`]),
  );

describe("shunts (POL-01, POL-14)", () => {
  test("stand in all directions, beside the tunnel's policies and whatever becomes of it", () => {
    const ssh = shuntOf("a", { id: "ssh", action: "none", remote: [range("10.2.0.0/24", 6, 22)] });
    const { sim, a, b } = pair({ a: withShunts(ssh) });
    expect([...a.dataPlane.policies.values()].filter((p) => p.action === "none").map((p) => p.direction)).toEqual([
      "out",
      "in",
      "fwd",
    ]);
    sim.run(1);
    expect(disagreements(a, b)).toEqual([]);
    expect(outward(a)).toEqual({ "10.2.0.0/24": "none 1990", "10.2.0.0/16": "encrypt 2000" });
    const back = [...a.dataPlane.policies.values()].find((p) => p.direction === "in" && p.action === "none");
    expect([back?.selector.source.toString(), back?.selector.sourcePort]).toEqual(["10.2.0.0/24", 22]);
    a.command({ command: "shutdown" });
    sim.run(1);
    expect(a.dataPlane.policies.size).toBe(0);
  });

  test("a change of the list touches no SA, and only the policies that differ", () => {
    const lan = shuntOf("a", { id: "lan", action: "none", remote: [range("10.2.9.0/24")] });
    const { sim, a, b } = pair({ a: withShunts(lan) });
    sim.run(1);
    const spi = a.dataPlane.inbound()[0]?.spi;
    a.dataPlane.log.length = 0;
    a.configure(withShunts(lan, shuntOf("a", { id: "all", remote: [range("0.0.0.0/0")], priority: 2_010 })));
    expect(a.dataPlane.log).toEqual(["installPolicy", "installPolicy", "installPolicy"]);
    a.configure(withShunts({ ...lan, priority: 1_980 }));
    expect(outward(a)).toEqual({ "10.2.9.0/24": "none 1980", "10.2.0.0/16": "encrypt 2000" });
    a.configure(withShunts());
    sim.run(5);
    expect(outward(a)).toEqual({ "10.2.0.0/16": "encrypt 2000" });
    expect(a.dataPlane.inbound()[0]?.spi).toBe(spi);
    expect(disagreements(a, b)).toEqual([]);
    expect(a.of("ike-down").concat(b.of("ike-down"))).toEqual([]);
  });

  test("of a shunt and a tunnel for the very same packets the first is in force, and the other when it goes", () => {
    const { sim, a } = pair({ a: withShunts(shuntOf("a")) });
    sim.run(1);
    expect(outward(a)).toEqual({ "10.2.0.0/16": "discard 1990" });
    expect(a.engine.policies().map((p) => [p.id, p.active, p.invalid])).toEqual([
      ["shunt", true, false],
      ["net", false, true],
    ]);
    a.configure(withShunts(shuntOf("a", { priority: 2_010 })));
    expect(outward(a)).toEqual({ "10.2.0.0/16": "encrypt 2000" });
    a.configure(withShunts());
    expect(outward(a)).toEqual({ "10.2.0.0/16": "encrypt 2000" });
  });

  test("what an earlier run left of them goes when nobody wants it", () => {
    const { sim, a } = pair({ a: withShunts(shuntOf("a", { remote: [range("10.9.0.0/16")] })) });
    sim.run(1);
    a.crash();
    a.handle({ on: "adopt", now: sim.now, sas: a.dataPlane.listSas(), policies: [...a.dataPlane.policies.values()] });
    a.configure(withShunts());
    sim.run(1);
    expect(outward(a)).toEqual({ "10.2.0.0/16": "encrypt 2000" });
  });
});

test("the list of policies says what is routed, what is up, and what a peer narrowed (POL-15)", () => {
  const wide = childOf("a", { startAction: "trap", remote: [range("10.0.0.0/8")], level: "unique" });
  const { sim, a } = pair({ a: configOf(peerOf("a", { children: [wide] })) });
  const listed = () =>
    a.engine
      .policies()
      .map(({ id, dynamic, active, sas, state, level }) => ({ id, dynamic, active, sas, state, level }));
  const own = { id: "net", dynamic: false, active: true, sas: 0, state: "no-phase2", level: "unique" };
  expect(listed()).toEqual([own]);
  a.command({ command: "initiate", peer: "b" });
  sim.run(1);
  expect(listed()).toEqual([{ ...own, dynamic: true, sas: 1, state: "established" }, own]);
});

describe("trying again", () => {
  /** Times of first requests, seconds. */
  const attempts = (keyingTries: number, seconds: number) => {
    const { sim, a } = pair({
      a: configOf(peerOf("a", { keyingTries, retransmission: { initial: 100, backoff: 1, max: 100, tries: 1 } })),
      b: configOf(),
    });
    a.down = true;
    sim.run(seconds);
    return { sim, a, at: a.of("negotiation-failed").map((e) => e.at / 1000) };
  };

  test("for ever, each wait between half and the whole of 1, 2, 4 … 60 s", () => {
    const { at } = attempts(0, 3_600);
    expect(at.length).toBeGreaterThan(60);
    at.slice(1).forEach((t, i) => {
      const full = Math.min(2 ** i, 60);
      const wait = t - (at[i] as number) - 0.2;
      expect(wait).toBeGreaterThan(full * 0.49);
      expect(wait).toBeLessThan(full * 1.01);
    });
    expect(new Set(at.slice(20).map((t, i) => Math.round((t - (at[19 + i] as number)) * 10))).size).toBeGreaterThan(10);
  });

  test("a bounded number of times, until asked again or configured anew (SS-04)", () => {
    const { sim, a, at } = attempts(3, 3_600);
    expect(at).toHaveLength(3);
    expect(a.peer("b")?.retryAt).toBeUndefined();
    expect(a.peer("b")?.lastError?.code).toBe("ike/no-response");
    expect(a.dataPlane.policies.size).toBe(3);
    a.command({ command: "initiate", peer: "b" });
    sim.run(600);
    expect(a.of("negotiation-failed")).toHaveLength(6);
    a.configure(configOf(peerOf("a", { keyingTries: 2 })));
    sim.run(600);
    expect(a.of("negotiation-failed")).toHaveLength(8);
  });
});

test("with level unique every peer of a connection has SAs of its own, with require they share (POL-08)", () => {
  const utf8 = new TextEncoder();
  for (const level of ["unique", "require"] as const) {
    const sim = new Simulation(3);
    const secret = utf8.encode("one for all");
    const server = sim.addPeer("s", "198.51.100.1");
    const [server4, any] = [IpAddress.parse("198.51.100.1"), { match: "any" } as const];
    const base = peerOf("b");
    server.configure(
      configOf({
        ...base,
        id: "all",
        remote: { endpoint: undefined, accept: [Prefix.any(4)] },
        passive: true,
        localAuth: [{ method: "psk", identity: { type: "fqdn", name: "s.example" }, secret }],
        remoteAuth: [{ method: "psk", identity: any, secrets: [secret] }],
        children: [childOf("b", { level })],
      }),
    );
    for (const [i, address] of ["192.0.2.11", "192.0.2.12"].entries()) {
      const caller = sim.addPeer(`c${i}`, address);
      caller.configure(
        configOf({
          ...peerOf("a"),
          local: { address: IpAddress.parse(address), port: 500 },
          remote: { endpoint: { address: server4, port: 500 }, accept: [] },
          localAuth: [{ method: "psk", identity: { type: "fqdn", name: `c${i}.example` }, secret }],
          remoteAuth: [{ method: "psk", identity: any, secrets: [secret] }],
        }),
      );
    }
    sim.run(3);
    const reqids = new Set(server.dataPlane.inbound().map((sa) => sa.reqid));
    expect(server.established()).toHaveLength(2);
    expect(reqids.size).toBe(level === "unique" ? 2 : 1);
  }
});
