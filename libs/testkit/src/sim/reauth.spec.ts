import { EXCHANGE, NOTIFY, NOTIFY_DATA, type PeerConfig, PROTOCOL } from "@sallyport/ike";
import fc from "fast-check";
import { disagreements, traffic } from "./agreement.js";
import { childOf, configOf, peerOf, range } from "./configs.js";
import type { SimPeer } from "./sim-peer.js";
import { type Pair, pair } from "./simulation.js";
import { childPayloads, deletion, SECRET, stage, stageUp } from "./stage.spec-helper.js";

/** Lifetimes that no SA reaches, so that only authentication renews anything. */
const LASTING = { soft: 360_000, jitter: 0, hard: 400_000 };

/** One end with the whole net and two more CHILD SAs. */
function end(mine: "a" | "b", more: Partial<PeerConfig> = {}) {
  const [local, remote] = mine === "a" ? ["10.1.0.0/16", "10.2.0.0/16"] : ["10.2.0.0/16", "10.1.0.0/16"];
  const extra = [1, 2].map((i) =>
    childOf(mine, {
      id: `udp${i}`,
      name: `udp${i}`,
      local: [range(local, 17, 7000 + i)],
      remote: [range(remote, 17, 7000 + i)],
      priority: 1000,
      lifetime: LASTING,
    }),
  );
  const children = [childOf(mine, { lifetime: LASTING }), ...extra];
  return configOf(peerOf(mine, { lifetime: LASTING, children, ...more }));
}

function flow({ sim, a, b }: Pair, seconds: number, delayMs = 10) {
  const start = sim.now;
  const at = (ms: number, run: () => void) => sim.clock.at(start + ms, run);
  return traffic({ a, b, at }, { seconds, everyMs: 37, delayMs });
}

const downs = (p: SimPeer) => p.of("ike-down").map((e) => e.reason);

describe("reauthentication (RFC 7296 §2.8.3)", () => {
  const after = { after: 60, jitter: 10 };

  test("make before break: new IKE and CHILD SAs, then the old ones go, and no packet is lost", () => {
    const p = pair({
      a: end("a", { reauthentication: { ...after, mode: "make-before-break" } }),
      b: end("b"),
    });
    p.sim.run(5);
    const [before] = p.a.established();
    const report = flow(p, 200);
    p.sim.run(220);
    expect(report.sent).toBeGreaterThan(9_000);
    expect(report.lost).toEqual([]);
    expect(disagreements(p.a, p.b, 3)).toEqual([]);
    expect(p.a.of("ike-up").length).toBeGreaterThanOrEqual(4);
    expect(p.a.established()[0]?.serial).not.toBe(before?.serial);
    expect(new Set(downs(p.a))).toEqual(new Set(["replaced"]));
    expect(p.a.of("ike-rekeyed")).toEqual([]);
  });

  test("make before break: packets that the Delete overtakes on the way are still taken", () => {
    const p = pair({
      a: end("a", { reauthentication: { ...after, mode: "make-before-break" } }),
      b: end("b"),
    });
    p.sim.run(5);
    const report = flow(p, 200, 800);
    p.sim.run(220);
    expect(report.lost).toEqual([]);
    expect(disagreements(p.a, p.b, 3)).toEqual([]);
  });

  test.each([
    ["IKE SA", { kind: "D", protocol: PROTOCOL.IKE, spis: [] } as const],
    ["CHILD SA", deletion(0x2000)],
  ])(
    "make before break by a peer that deletes the old %s at once: there is an SA to send on all the time",
    (_, old) => {
      const { sim, b, peer, another } = stageUp();
      const anew = another(78n);
      anew.ask(EXCHANGE.IKE_AUTH, anew.authPayloads("a.example", SECRET, childPayloads(0x3000)));
      const sending = () => b.dataPlane.outbound().map((sa) => sa.spi);
      expect(sending()).toEqual([0x2000]);
      const seen: string[] = [];
      b.dataPlane.refuse = () => {
        seen.push(sending().join());
        return undefined;
      };
      sim.network.taps.unshift((packet) => {
        seen.push(`answered: ${sending()}`);
        return packet;
      });
      peer.ask(EXCHANGE.INFORMATIONAL, [old]);
      expect(seen[0]).toBe("8192");
      expect(seen).not.toContain("");
      expect(seen).toContainEqual(expect.stringMatching(/^answered: .*12288$/));
      expect(sending()).toEqual([0x3000]);
      sim.run(1);
      expect(sending()).toEqual([0x3000]);
    },
  );

  test("break before make: the old IKE SA is gone before the new one comes", () => {
    const p = pair({
      a: end("a", { reauthentication: { ...after, mode: "break-before-make" } }),
      b: end("b", { uniqueness: "never" }),
    });
    p.sim.run(100);
    expect(disagreements(p.a, p.b, 3)).toEqual([]);
    expect(downs(p.a)).toEqual(["reauthentication"]);
    expect(downs(p.b)).toEqual(["deleted-by-peer"]);
    const order = p.a.events.map((e) => e.event).filter((e) => e === "ike-up" || e === "ike-down");
    expect(order).toEqual(["ike-up", "ike-down", "ike-up"]);
    const [gone, again] = [p.a.of("ike-down")[0]?.at ?? 0, p.a.of("ike-up")[1]?.at ?? 0];
    expect(again - gone).toBeLessThan(200);
  });

  test("a peer that refuses a second IKE SA keeps the first, and is asked again", () => {
    const p = pair({
      a: end("a", { reauthentication: { after: 60, jitter: 0, mode: "make-before-break" } }),
      b: end("b", { uniqueness: "never" }),
    });
    p.sim.run(175);
    expect(disagreements(p.a, p.b, 3)).toEqual([]);
    expect(p.a.of("auth-failed").length).toBeGreaterThanOrEqual(2);
    expect(p.a.of("ike-down")).toEqual([]);
  });

  test("both ends at once: one IKE SA is left", () => {
    const config = { reauthentication: { after: 60, jitter: 0, mode: "make-before-break" } } as const;
    const p = pair({ a: end("a", config), b: end("b", config) });
    p.sim.run(300);
    p.a.configure(end("a"));
    p.b.configure(end("b"));
    p.sim.run(120);
    expect(disagreements(p.a, p.b, 3)).toEqual([]);
  });

  test("the end that only answers begins nothing", () => {
    const config = { reauthentication: { after: 30, jitter: 0, mode: "make-before-break" } } as const;
    const p = pair({ a: end("a"), b: end("b", { ...config, passive: true }) });
    p.sim.run(100);
    expect(p.b.count("reauthentication-impossible")).toBeGreaterThan(0);
    expect(p.b.of("ike-up")).toHaveLength(1);
  });

  test("whatever is rekeyed, deleted and lost meanwhile, both ends agree afterwards", () => {
    const act = fc.record({
      at: fc.integer({ min: 20_000, max: 70_000 }),
      by: fc.constantFrom("a", "b"),
      what: fc.constantFrom("rekey-ike", "rekey-child", "terminate", "probe"),
    });
    const mode = fc.constantFrom("make-before-break", "break-before-make");
    const bad = fc.record({
      loss: fc.double({ min: 0, max: 0.25, noNaN: true }),
      duplication: fc.double({ min: 0, max: 0.4, noNaN: true }),
      delay: fc.integer({ min: 1, max: 150 }),
      jitter: fc.integer({ min: 0, max: 300 }),
    });
    fc.assert(
      fc.property(fc.integer(), mode, bad, fc.array(act, { maxLength: 6 }), (seed, how, faults, acts) => {
        const config = { reauthentication: { after: 30, jitter: 12, mode: how } };
        const p = pair({ seed, a: end("a", config), b: end("b", seed & 1 ? config : {}) });
        p.a.cryptoDelay = seed & 7;
        p.b.dataPlaneDelay = (seed >> 3) & 15;
        p.sim.faults(faults);
        for (const { at, by, what } of acts) {
          p.sim.clock.at(at, () => {
            const [peer, other] = by === "a" ? [p.a, "b"] : [p.b, "a"];
            if (what === "rekey-child") peer.command({ command: what, peer: other, child: "udp1" });
            else peer.command({ command: what, peer: other });
            if (what === "terminate") peer.command({ command: "initiate", peer: other });
          });
        }
        p.sim.run(90);
        p.sim.faults({ loss: 0, duplication: 0, delay: 10, jitter: 0 });
        p.a.configure(end("a"));
        p.b.configure(end("b"));
        p.sim.run(400);
        expect(disagreements(p.a, p.b, 3)).toEqual([]);
      }),
      { numRuns: Number(process.env.SIM_RUNS ?? 40), endOnFailure: true },
    );
  });
});

describe("AUTH_LIFETIME (RFC 4478)", () => {
  test("the initiator authenticates anew before the time that the responder tells, over rekeys too", () => {
    const p = pair({ a: end("a"), b: end("b", { authLifetime: 100 }) });
    p.sim.run(20);
    p.b.command({ command: "rekey-ike", peer: "a" });
    p.sim.run(400);
    expect(p.b.of("ike-up").length).toBeGreaterThanOrEqual(4);
    expect(p.b.count("not-reauthenticated")).toBe(0);
    expect(disagreements(p.a, p.b, 3)).toEqual([]);
    expect(downs(p.b).every((r) => r === "replaced")).toBe(true);
  });

  test("the responder ends what was not authenticated anew, and says so", () => {
    const { b, peer, sim, asked } = stage(1, { authLifetime: 60, dpdInterval: 0 });
    const reply = peer.ask(EXCHANGE.IKE_AUTH, peer.authPayloads("a.example", SECRET, childPayloads(0x2000)));
    const told = reply?.payloads.find((p) => p.kind === "N" && p.type === NOTIFY.AUTH_LIFETIME);
    expect(told).toEqual(NOTIFY_DATA.AUTH_LIFETIME.build(60));
    sim.run(59);
    expect(b.established()).toHaveLength(1);
    asked.length = 0;
    sim.run(2);
    expect(asked.length).toBeGreaterThan(0);
    expect(peer.open(asked[0]?.datagram ?? new Uint8Array(0)).payloads).toMatchObject([{ kind: "D", protocol: 1 }]);
    expect(b.peer("a")?.lastError).toMatchObject({ code: "ike/not-reauthenticated", ours: "every 60 s" });
  });

  test("a lifetime that the configuration brings later is told in an exchange of its own", () => {
    const p = pair({ a: end("a"), b: end("b") });
    p.sim.run(5);
    p.b.configure(end("b", { authLifetime: 50 }));
    p.sim.run(55);
    expect(p.a.of("ike-up")).toHaveLength(2);
    expect(disagreements(p.a, p.b, 3)).toEqual([]);
    expect(p.a.of("child-rekeyed")).toEqual([]);
  });

  test.each([0, 1, 0xffff_ffff])("%i seconds: no storm, no overflow", (seconds) => {
    const p = pair({ a: end("a"), b: end("b") });
    p.sim.run(5);
    p.b.configure(end("b", { authLifetime: seconds }));
    p.sim.run(60);
    expect(p.a.of("ike-up").length).toBeLessThan(30);
    expect(p.a.of("internal-error").concat(p.b.of("internal-error"))).toEqual([]);
  });
});
