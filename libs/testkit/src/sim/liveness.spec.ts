import { EXCHANGE, NOTIFY, type Payload } from "@sallyport/ike";
import { disagreements, traffic } from "./agreement.js";
import { childOf, configOf, peerOf } from "./configs.js";
import { pair } from "./simulation.js";
import { childPayloads, SECRET, stageUp } from "./stage.spec-helper.js";

describe("liveness", () => {
  test("silence is answered by a probe, and an answer keeps the tunnel", () => {
    const { sim, a, b } = pair();
    sim.run(1);
    const before = sim.network.carried;
    sim.run(300);
    expect(sim.network.carried - before).toBeGreaterThanOrEqual(18);
    expect(sim.network.carried - before).toBeLessThan(50);
    expect(disagreements(a, b)).toEqual([]);
  });

  test("a dead peer is found, said so, and the child that wants it is tried again until the peer is back", () => {
    const { sim, a, b } = pair();
    sim.run(1);
    b.crash();
    b.down = true;
    sim.run(120);
    expect(a.of("peer-dead")).toHaveLength(1);
    expect(a.of("child-down")[0]?.reason).toBe("peer-dead");
    expect(a.dataPlane.sas.size).toBe(0);
    expect(a.dataPlane.policies.size).toBe(3);
    expect(a.peer("b")?.lastError?.code).toBe("ike/no-response");
    b.down = false;
    b.dataPlane.sas.clear();
    b.dataPlane.policies.clear();
    b.configure(configOf(peerOf("b")));
    sim.run(130);
    expect(disagreements(a, b)).toEqual([]);
  });

  test.each(["clear", "trap"] as const)("dpdAction %s begins nothing by itself", (dpdAction) => {
    const child = childOf("a", { dpdAction, startAction: dpdAction === "trap" ? "trap" : "none" });
    const { sim, a, b } = pair({ a: configOf(peerOf("a", { children: [child] })) });
    a.command({ command: "initiate", peer: "b", child: "net" });
    sim.run(1);
    expect(disagreements(a, b)).toEqual([]);
    b.down = true;
    sim.run(200);
    expect(a.of("peer-dead")).toHaveLength(1);
    b.down = false;
    sim.run(100);
    expect(a.established()).toEqual([]);
    expect(a.dataPlane.policies.size).toBe(dpdAction === "trap" ? 3 : 0);
  });

  test("a peer that lost its state says INVALID_IKE_SPI, which nobody has signed: only silence kills", () => {
    const { sim, a, b } = pair();
    sim.run(1);
    b.crash();
    b.configure(configOf());
    a.command({ command: "probe", peer: "b" });
    sim.run(5);
    expect(a.of("ike-down")).toEqual([]);
    sim.run(70);
    expect(b.count("unknown-ike-spi")).toBeGreaterThan(0);
    expect(a.count("invalid-ike-spi-hint")).toBeGreaterThan(0);
    expect(a.of("peer-dead")).toHaveLength(1);
  });

  test("an unprotected INVALID_IKE_SPI alone ends nothing", () => {
    const { sim, a, b } = pair();
    sim.run(1);
    const [spiI, spiR] = [a.established()[0]?.spiInitiator, a.established()[0]?.spiResponder];
    const forged = Buffer.from(`${spiI}${spiR}2920252000000000000000240000000800000004`, "hex");
    for (let i = 0; i < 50; i++) {
      const from = { address: b.address, port: 500 };
      sim.network.inject({ from, to: { address: a.address, port: 500 }, datagram: forged });
    }
    sim.run(100);
    expect(a.count("stale-response")).toBe(50);
    expect(a.of("ike-down")).toEqual([]);
    expect(disagreements(a, b)).toEqual([]);
  });

  test("a crashed initiator comes back with INITIAL_CONTACT: the old IKE SA at the far end goes at once", () => {
    const { sim, a, b } = pair();
    sim.run(1);
    a.crash();
    a.handle({ on: "adopt", now: sim.now, sas: a.dataPlane.listSas(), policies: [...a.dataPlane.policies.values()] });
    a.configure(configOf(peerOf("a")));
    sim.run(3);
    expect(b.of("ike-down")[0]?.reason).toBe("replaced");
    expect(disagreements(a, b)).toEqual([]);
  });

  test.each([
    [0, 0],
    [20, 15],
  ])(
    "a crashed initiator with nothing left gets packets that it can open as soon as it has SAs, crypto %i ms, data plane %i ms",
    (cryptoDelay, dataPlaneDelay) => {
      const { sim, a, b } = pair();
      sim.run(1);
      const before = b.dataPlane.outbound()[0]?.spi;
      a.crash();
      a.dataPlane.sas.clear();
      a.dataPlane.policies.clear();
      Object.assign(a, { cryptoDelay, dataPlaneDelay });
      a.configure(configOf(peerOf("a")));
      for (let ms = 0; ms < 1_000 && a.dataPlane.outbound().length === 0; ms++) sim.run(0.001);
      const start = sim.now;
      const at = (ms: number, run: () => void) => sim.clock.at(start + ms, run);
      const flow = traffic({ a, b, at }, { seconds: 3, everyMs: 1, delayMs: 5 });
      expect(b.dataPlane.outbound().map((sa) => sa.spi)).not.toContain(before);
      sim.run(5);
      expect(flow).toEqual({ sent: 6_000, lost: [] });
      expect(disagreements(a, b)).toEqual([]);
    },
  );

  const none = new Uint8Array(0);
  const contact: Payload = { kind: "N", protocol: 0, type: NOTIFY.INITIAL_CONTACT, spi: none, data: none };
  const vendor = (text: string): Payload => ({ kind: "V", data: new TextEncoder().encode(text) });
  const KEPT = vendor("Sallyport: CHILD SAs kept over a restart");

  test.each([
    ["nothing", [], 0x2000],
    ["INITIAL_CONTACT", [contact], 0x3000],
    ["INITIAL_CONTACT and a foreign vendor ID", [contact, vendor("somebody else's")], 0x3000],
    ["INITIAL_CONTACT and that it kept its CHILD SAs", [contact, KEPT], 0x2000],
    ["that it kept its CHILD SAs, without INITIAL_CONTACT", [KEPT], 0x2000],
  ])("packets to an initiator that says %s go by the right SA from the first moment on", (_, said, spi) => {
    const { sim, b, another } = stageUp();
    const anew = another(78n);
    anew.ask(EXCHANGE.IKE_AUTH, [...anew.authPayloads("a.example", SECRET, childPayloads(0x3000)), ...said]);
    expect(b.dataPlane.outbound().map((sa) => sa.spi)).toEqual([spi]);
    sim.run(0.45);
    expect(b.dataPlane.outbound().at(-1)?.spi).toBe(0x3000);
  });
});

describe("an agent that restarts", () => {
  const kept = () => {
    const p = pair();
    p.sim.run(1);
    p.a.crash();
    return p;
  };

  test("keeps the SAs of the earlier run until new ones of the same child carry traffic", () => {
    const { sim, a, b } = kept();
    const before = a.dataPlane.inbound()[0]?.spi;
    a.handle({ on: "adopt", now: sim.now, sas: a.dataPlane.listSas(), policies: [...a.dataPlane.policies.values()] });
    a.configure(configOf(peerOf("a")));
    expect(a.dataPlane.inbound()[0]?.spi).toBe(before);
    sim.run(0.035);
    expect(a.dataPlane.inbound().map((s) => s.spi)).toContain(before);
    sim.run(3);
    expect(a.dataPlane.inbound().map((s) => s.spi)).not.toContain(before);
    expect(disagreements(a, b)).toEqual([]);
    expect(a.dataPlane.policies.size).toBe(3);
  });

  test.each([
    [0, 0],
    [20, 15],
  ])("loses no packet of either direction while it takes over, crypto %i ms, data plane %i ms", (...delays) => {
    const { sim, a, b } = pair();
    [a.cryptoDelay, a.dataPlaneDelay] = delays;
    sim.run(1);
    const at = (ms: number, run: () => void) => sim.clock.at(1_000 + ms, run);
    const flow = traffic({ a, b, at }, { seconds: 5, everyMs: 1, delayMs: 5 });
    sim.run(1);
    a.crash();
    sim.run(1);
    a.handle({ on: "adopt", now: sim.now, sas: a.dataPlane.listSas(), policies: [...a.dataPlane.policies.values()] });
    a.configure(configOf(peerOf("a")));
    sim.run(5);
    expect(flow).toEqual({ sent: 10_000, lost: [] });
    expect(disagreements(a, b)).toEqual([]);
  });

  test("removes what belongs to no child any more, and nothing else", () => {
    const { sim, a } = kept();
    a.handle({ on: "adopt", now: sim.now, sas: a.dataPlane.listSas(), policies: [...a.dataPlane.policies.values()] });
    a.configure(configOf(peerOf("a", { children: [childOf("a", { id: "other" })] })));
    expect(a.dataPlane.sas.size).toBe(0);
    expect(a.dataPlane.policies.size).toBe(3);
    expect(a.dataPlane.log).not.toContain("removePolicy");
  });

  test("lets adopted SAs of a passive peer live until the data plane ends them, policies included", () => {
    const { sim, b } = pair();
    sim.run(1);
    b.crash();
    b.handle({ on: "adopt", now: sim.now, sas: b.dataPlane.listSas(), policies: [...b.dataPlane.policies.values()] });
    b.configure(configOf(peerOf("b", { passive: true })));
    expect(b.dataPlane.sas.size).toBe(2);
    for (const sa of [...b.dataPlane.sas.values()]) {
      b.dataPlane.run({ op: "removeSa", args: [sa] });
      b.handle({ on: "dataplane", now: sim.now, event: { on: "expire", sa, reqid: sa.reqid, hard: true } });
    }
    expect(b.dataPlane.policies.size).toBe(0);
  });
});
