import { Fault } from "@sallyport/base";
import type { DhGroup } from "@sallyport/ike";
import { disagreements, traffic } from "./agreement.js";
import { childOf, configOf, ESP_PROPOSAL, IKE_PROPOSAL, peerOf } from "./configs.js";
import { type Pair, pair } from "./simulation.js";

function withPfs(pfs: DhGroup[], theirs = pfs) {
  return {
    a: configOf(peerOf("a", { children: [childOf("a", { proposals: [{ ...ESP_PROPOSAL, pfs }] })] })),
    b: configOf(peerOf("b", { children: [childOf("b", { proposals: [{ ...ESP_PROPOSAL, pfs: theirs }] })] })),
  };
}

function flowing({ sim, a, b }: Pair, seconds: number) {
  const at = (ms: number, run: () => void) => sim.clock.at(sim.now + ms, run);
  const start = sim.now;
  return traffic({ a, b, at: (ms, run) => at(start + ms - sim.now, run) }, { seconds, everyMs: 1, delayMs: 5 });
}

describe("CHILD SA rekey", () => {
  const groups: DhGroup[][] = [[], ["x25519"]];
  describe.each(groups)("with PFS %s", (...pfs) => {
    test.each(["a", "b"] as const)("begun by %s loses no packet and leaves one pair", (who) => {
      const p = pair(withPfs(pfs));
      const { sim, a, b } = p;
      sim.run(1);
      const before = a.established()[0]?.children[0];
      const flow = flowing(p, 20);
      sim.run(2);
      (who === "a" ? a : b).command({ command: "rekey-child", peer: who === "a" ? "b" : "a", child: "net" });
      sim.run(20);
      expect(flow.sent).toBe(40_000);
      expect(flow.lost).toEqual([]);
      expect(disagreements(a, b)).toEqual([]);
      const after = a.established()[0]?.children[0];
      expect(after?.spiIn).not.toBe(before?.spiIn);
      expect(after?.reqid).toBe(before?.reqid);
      expect(after?.suite.includes("CURVE25519")).toBe(pfs.length > 0);
      expect(a.of("child-rekeyed")).toHaveLength(1);
      expect(b.of("child-rekeyed")).toHaveLength(1);
      expect(a.dataPlane.log.filter((op) => op === "removePolicy")).toEqual([]);
    });
  });

  describe("by the peer, whose Delete of the old pair does not come", () => {
    const INFORMATIONAL = 37;
    function rekeyed() {
      const p = pair();
      const { sim, a, b } = p;
      sim.run(1);
      const reqid = b.established()[0]?.children[0]?.reqid ?? 0;
      const old = b.dataPlane.sending(reqid)?.spi;
      let cut = true;
      sim.network.taps.push((packet) => (cut && packet.datagram[18] === INFORMATIONAL ? undefined : packet));
      return {
        ...p,
        rekey: () => a.command({ command: "rekey-child", peer: "b", child: "net" }),
        switched: () => b.dataPlane.sending(reqid)?.spi !== old,
        looks: () => b.dataPlane.log.filter((op) => op === "querySa").length,
        mend() {
          cut = false;
          sim.run(60);
          return disagreements(a, b);
        },
      };
    }

    test("a packet on the new pair is enough for us to send there (RFC 7296 §2.8)", () => {
      const p = rekeyed();
      const flow = flowing(p, 10);
      p.rekey();
      p.sim.run(0.6);
      expect(p.switched()).toBe(true);
      expect(p.looks()).toBe(1);
      expect(p.mend()).toEqual([]);
      expect(flow.lost).toEqual([]);
      expect(p.looks()).toBe(1);
    });

    test("as long as nothing comes on it, which we ask ever more rarely, we wait", () => {
      const p = rekeyed();
      p.rekey();
      p.sim.run(9);
      expect(p.switched()).toBe(false);
      p.sim.run(2);
      expect(p.switched()).toBe(true);
      expect(p.looks()).toBe(6);
      expect(p.mend()).toEqual([]);
    });

    test("a look that the data plane refuses changes nothing", () => {
      const p = rekeyed();
      p.b.dataPlane.refuse = ({ op }) =>
        op === "querySa" ? new Fault("dataplane/refused", "no", { retry: false, expose: true }) : undefined;
      const flow = flowing(p, 20);
      p.rekey();
      p.sim.run(9);
      expect(p.switched()).toBe(false);
      p.sim.run(2);
      expect(p.switched()).toBe(true);
      expect(p.mend()).toEqual([]);
      expect(flow.lost).toEqual([]);
    });
  });

  test("INVALID_KE_PAYLOAD: the second try has the group that the peer wants", () => {
    const { sim, a, b } = pair(withPfs(["modp2048", "ecp256"], ["ecp256"]));
    sim.run(1);
    a.command({ command: "rekey-child", peer: "b", child: "net" });
    sim.run(10);
    expect(disagreements(a, b)).toEqual([]);
    expect(a.established()[0]?.children[0]?.suite).toContain("ECP_256");
  });

  test("a rekey that the peer refuses leaves the old pair and says why", () => {
    const { sim, a, b } = pair(withPfs(["x25519"], []));
    sim.run(1);
    const before = a.established()[0]?.children[0]?.spiIn;
    a.command({ command: "rekey-child", peer: "b", child: "net" });
    sim.run(1);
    expect(a.established()[0]?.children[0]?.spiIn).toBe(before);
    expect(a.peer("b")?.childErrors.net?.code).toBe("ike/no-proposal-chosen");
    expect(b.of("negotiation-failed")[0]?.error).toMatchObject({
      exchange: "CREATE_CHILD_SA",
      ours: "ESP:AES_GCM_16_256/NO_ESN",
    });
    expect(disagreements(a, b)).toEqual([]);
  });

  test("lifetimes rekey by themselves, hours on end", () => {
    const { sim, a, b } = pair();
    sim.run(6 * 3600);
    expect(disagreements(a, b)).toEqual([]);
    expect(a.of("child-rekeyed").length).toBeGreaterThanOrEqual(6);
    expect(a.of("ike-rekeyed").length).toBeGreaterThanOrEqual(1);
    expect(a.of("ike-up")).toHaveLength(1);
  });

  test("a soft limit that the data plane reports rekeys", () => {
    const { sim, a, b } = pair();
    sim.run(1);
    const sa = a.dataPlane.outbound()[0];
    if (!sa) throw new Error("no SA");
    a.handle({ on: "dataplane", now: sim.now, event: { on: "expire", sa, reqid: sa.reqid, hard: false } });
    sim.run(10);
    expect(a.of("child-rekeyed")).toHaveLength(1);
    expect(disagreements(a, b)).toEqual([]);
  });

  test("a hard limit removes the pair and a wanted child comes back", () => {
    const { sim, a, b } = pair();
    sim.run(1);
    const sa = a.dataPlane.outbound()[0];
    if (!sa) throw new Error("no SA");
    a.handle({ on: "dataplane", now: sim.now, event: { on: "expire", sa, reqid: sa.reqid, hard: true } });
    sim.run(5);
    expect(a.of("child-down")[0]?.reason).toBe("expired");
    expect(disagreements(a, b)).toEqual([]);
  });
});

describe("IKE SA rekey", () => {
  test.each(["a", "b"] as const)("begun by %s keeps the CHILD SAs and loses no packet", (who) => {
    const p = pair();
    const { sim, a, b } = p;
    sim.run(1);
    const before = a.established()[0];
    const flow = flowing(p, 10);
    sim.run(1);
    (who === "a" ? a : b).command({ command: "rekey-ike", peer: who === "a" ? "b" : "a" });
    sim.run(80);
    const after = a.established()[0];
    expect(flow.lost).toEqual([]);
    expect(disagreements(a, b)).toEqual([]);
    expect(after?.spiInitiator).not.toBe(before?.spiInitiator);
    expect(after?.initiator).toBe(who === "a");
    expect(after?.children[0]?.spiIn).toBe(before?.children[0]?.spiIn);
    expect(a.of("child-down").concat(b.of("child-down"))).toEqual([]);
  });

  test("the new IKE SA works: its children can be rekeyed from both ends", () => {
    const { sim, a, b } = pair();
    sim.run(1);
    b.command({ command: "rekey-ike", peer: "a" });
    sim.run(2);
    a.command({ command: "rekey-child", peer: "b", child: "net" });
    sim.run(10);
    b.command({ command: "rekey-child", peer: "a", child: "net" });
    sim.run(80);
    expect(disagreements(a, b)).toEqual([]);
    expect(a.of("child-rekeyed")).toHaveLength(2);
  });

  test("another group and another suite by INVALID_KE_PAYLOAD", () => {
    const start = configOf(peerOf("a", { proposals: [IKE_PROPOSAL] }));
    const { sim, a, b } = pair({ a: start });
    sim.run(1);
    b.configure(configOf(peerOf("b", { proposals: [{ ...IKE_PROPOSAL, dh: ["ecp384"] }] })));
    a.configure(configOf(peerOf("a", { proposals: [{ ...IKE_PROPOSAL, dh: ["x25519", "ecp384"] }] })));
    sim.run(120);
    expect(a.established()[0]?.suite).toContain("ECP_384");
    expect(disagreements(a, b)).toEqual([]);
  });
});
