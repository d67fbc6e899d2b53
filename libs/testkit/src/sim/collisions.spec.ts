import { disagreements, traffic } from "./agreement.js";
import { childOf, configOf, ESP_PROPOSAL, peerOf } from "./configs.js";
import type { SimPeer } from "./sim-peer.js";
import { type Pair, pair } from "./simulation.js";

/** Does one thing at each end, `apart` ms from each other; at 10 ms of delay anything below that crosses on the way. */
function cross({ sim, a, b }: Pair, atA: (p: SimPeer) => void, atB: (p: SimPeer) => void, apart: number) {
  sim.clock.at(sim.now + 100, () => atA(a));
  sim.clock.at(sim.now + 100 + apart, () => atB(b));
  sim.run(150);
}

const peerOfEnd = (p: SimPeer) => (p.name === "a" ? "b" : "a");
const rekeyChild = (p: SimPeer) => p.command({ command: "rekey-child", peer: peerOfEnd(p), child: "net" });
const rekeyIke = (p: SimPeer) => p.command({ command: "rekey-ike", peer: peerOfEnd(p) });

const CREATE_CHILD_SA = 36;
const RESPONSE = 0x20;
const SEEDS = [1, 2, 3, 4, 5, 6];
/** From crossing requests to one that comes when the other end is in the middle of its exchange, or through with it. */
const APART = [0, 5, 9, 11, 15, 19, 21, 25, 35, 45];
/** Every millisecond in which requests, answers and the work on them can cross. */
const SLOW = [1, 2, 3].flatMap((seed) => Array.from({ length: 40 }, (_, apart) => [seed, apart] as const));
/** Milliseconds of crypto jobs and of data plane operations. */
const DELAYS = [
  [7, 15],
  [15, 0],
  [0, 15],
  [3, 3],
] as const;
const CASES = SEEDS.flatMap((seed) => APART.map((apart) => [seed, apart] as const));

function up(seed: number, more: Parameters<typeof pair>[0] = {}): Pair {
  const p = pair({ seed, ...more });
  p.sim.run(1);
  return p;
}

describe("collisions (RFC 7296 §2.8.1, §2.8.2, §2.25)", () => {
  test.each(CASES)("both ends rekey the same CHILD SA (seed %i, %i ms apart)", (seed, apart) => {
    const p = up(seed);
    cross(p, rekeyChild, rekeyChild, apart);
    expect(disagreements(p.a, p.b)).toEqual([]);
    expect(p.a.of("child-down").every((e) => e.reason === "replaced")).toBe(true);
  });

  test.each(SLOW)("both ends rekey the same CHILD SA, and work takes time (seed %i, %i ms apart)", (seed, apart) => {
    for (const [cryptoDelay, dataPlaneDelay] of DELAYS) {
      const p = up(seed, withPfs());
      p.a.cryptoDelay = cryptoDelay;
      p.b.dataPlaneDelay = dataPlaneDelay;
      cross(p, rekeyChild, rekeyChild, apart);
      expect(disagreements(p.a, p.b)).toEqual([]);
    }
  });

  test.each(APART)(
    "both ends rekey the same CHILD SA, an end's answer comes late, and no packet is lost (%i ms apart)",
    (apart) => {
      for (const late of ["a", "b"] as const) {
        const p = up(apart, withPfs());
        const start = p.sim.now;
        const at = (ms: number, run: () => void) => p.sim.clock.at(start + ms, run);
        const { address } = p[late];
        p.sim.network.taps.push((packet) => {
          const [exchange, flags = 0] = packet.datagram.subarray(18, 20);
          const answer = exchange === CREATE_CHILD_SA && (flags & RESPONSE) !== 0 && packet.to.address.equals(address);
          return answer && p.sim.now < start + 1_500 ? undefined : packet;
        });
        const report = traffic({ a: p.a, b: p.b, at }, { seconds: 6, everyMs: 3, delayMs: 10 });
        cross(p, rekeyChild, rekeyChild, apart);
        expect(report.lost).toEqual([]);
        expect(disagreements(p.a, p.b)).toEqual([]);
      }
    },
  );

  test.each(APART)("both ends rekey the same CHILD SA, and no packet is lost (%i ms apart)", (apart) => {
    for (const [cryptoDelay, dataPlaneDelay] of DELAYS) {
      const p = up(apart, withPfs());
      p.a.cryptoDelay = cryptoDelay;
      p.b.dataPlaneDelay = dataPlaneDelay;
      const start = p.sim.now;
      const at = (ms: number, run: () => void) => p.sim.clock.at(start + ms, run);
      const report = traffic({ a: p.a, b: p.b, at }, { seconds: 2, everyMs: 3, delayMs: 10 });
      cross(p, rekeyChild, rekeyChild, apart);
      expect(report.sent).toBeGreaterThan(1_000);
      expect(report.lost).toEqual([]);
    }
  });

  test.each(SLOW)("one end deletes the CHILD SA that the other still makes (seed %i, %i ms apart)", (seed, apart) => {
    const remove = (e: SimPeer) => e.command({ command: "terminate", peer: "a", child: "net" });
    for (const [cryptoDelay, dataPlaneDelay] of DELAYS) {
      const p = up(seed, withPfs());
      p.a.cryptoDelay = cryptoDelay;
      p.a.dataPlaneDelay = dataPlaneDelay;
      cross(p, rekeyChild, remove, apart);
      expect(disagreements(p.a, p.b)).toEqual([]);
    }
  });

  test.each(CASES)("both ends crash in the middle of a rekey (seed %i, %i ms apart)", (seed, apart) => {
    const crash = (p: SimPeer) => {
      p.crash();
      const { policies } = p.dataPlane;
      p.handle({ on: "adopt", now: 1_150, sas: p.dataPlane.listSas(), policies: [...policies.values()] });
      const mine = p.name === "a" ? "a" : "b";
      p.configure(configOf(peerOf(mine, { children: [childOf(mine, { startAction: "start" })] })));
    };
    for (const delay of [0, 4, 13]) {
      const p = up(seed);
      p.a.dataPlaneDelay = delay;
      p.b.cryptoDelay = delay;
      p.a.command({ command: "rekey-child", peer: "b", child: "net" });
      p.b.command({ command: "rekey-ike", peer: "a" });
      p.sim.clock.at(p.sim.now + 20, () => crash(p.a));
      p.sim.clock.at(p.sim.now + 20 + apart / 10, () => crash(p.b));
      p.sim.run(150);
      expect(disagreements(p.a, p.b)).toEqual([]);
    }
  });

  test.each(CASES)("both ends rekey the IKE SA (seed %i, %i ms apart)", (seed, apart) => {
    const p = up(seed);
    cross(p, rekeyIke, rekeyIke, apart);
    expect(disagreements(p.a, p.b)).toEqual([]);
    expect(p.a.of("child-down").concat(p.b.of("child-down"))).toEqual([]);
  });

  test.each(CASES)("one end rekeys the IKE SA, the other a CHILD SA (seed %i, %i ms apart)", (seed, apart) => {
    const p = up(seed);
    cross(p, rekeyIke, rekeyChild, apart);
    expect(disagreements(p.a, p.b)).toEqual([]);
    expect(p.a.of("child-rekeyed").length).toBeGreaterThan(0);
    expect(p.a.of("ike-rekeyed").length).toBeGreaterThan(0);
  });

  test.each(CASES)("one end rekeys a CHILD SA that the other deletes (seed %i, %i ms apart)", (seed, apart) => {
    const p = up(seed);
    const remove = (e: SimPeer) => e.command({ command: "terminate", peer: peerOfEnd(e), child: "net" });
    cross(p, rekeyChild, remove, apart);
    expect(disagreements(p.a, p.b)).toEqual([]);
  });

  test.each(CASES)("one end rekeys the IKE SA that the other deletes (seed %i, %i ms apart)", (seed, apart) => {
    const p = up(seed);
    cross(p, rekeyIke, (e) => e.command({ command: "terminate", peer: "a" }), apart);
    expect(disagreements(p.a, p.b)).toEqual([]);
  });

  test.each(APART)("both ends delete the same CHILD SA (%i ms apart)", (apart) => {
    const none = { startAction: "none" } as const;
    const p = up(1, { a: configOf(peerOf("a", { children: [childOf("a", none)] })) });
    p.a.command({ command: "initiate", peer: "b", child: "net" });
    p.sim.run(1);
    const remove = (e: SimPeer) => e.command({ command: "terminate", peer: peerOfEnd(e), child: "net" });
    cross(p, remove, remove, apart);
    expect(disagreements(p.a, p.b, 0)).toEqual([]);
  });

  test.each(APART)("both ends delete the IKE SA (%i ms apart)", (apart) => {
    const p = up(1);
    const remove = (e: SimPeer) => e.command({ command: "terminate", peer: peerOfEnd(e) });
    cross(p, remove, remove, apart);
    for (const end of [p.a, p.b]) {
      expect(end.engine.sizes()).toMatchObject({ ikeSas: 0, waiting: 0 });
      expect(end.dataPlane.sas.size).toBe(0);
    }
  });

  test.each(CASES)("both ends initiate (seed %i, %i ms apart)", (seed, apart) => {
    const start = { startAction: "start" } as const;
    const p = pair({ seed, a: configOf(), b: configOf() });
    const begin = (e: SimPeer) => {
      const mine = e.name === "a" ? "a" : "b";
      e.configure(configOf(peerOf(mine, { children: [childOf(mine, start)] })));
    };
    cross(p, begin, begin, apart);
    expect(disagreements(p.a, p.b)).toEqual([]);
  });

  test.each(CASES)("both ends make the same CHILD SA (seed %i, %i ms apart)", (seed, apart) => {
    const p = up(seed, { a: configOf(peerOf("a", { children: [childOf("a"), second("a")] })), b: withSecond() });
    const create = (e: SimPeer) => e.command({ command: "initiate", peer: peerOfEnd(e), child: "second" });
    cross(p, create, create, apart);
    expect(disagreements(p.a, p.b, 2)).toEqual([]);
  });
});

function second(mine: "a" | "b") {
  const range = childOf(mine).remote.map((r) => ({ ...r, protocol: 17, firstPort: 5000, lastPort: 5000 }));
  return childOf(mine, { id: "second", name: "second", remote: range, startAction: "none", priority: 1000 });
}

function withPfs() {
  const proposals = [{ ...ESP_PROPOSAL, pfs: ["x25519" as const] }];
  const one = (mine: "a" | "b") => configOf(peerOf(mine, { children: [childOf(mine, { proposals })] }));
  return { a: one("a"), b: one("b") };
}

function withSecond() {
  const local = childOf("b").local.map((r) => ({ ...r, protocol: 17, firstPort: 5000, lastPort: 5000 }));
  const child = childOf("b", { id: "second", name: "second", local, startAction: "none", priority: 1000 });
  return configOf(peerOf("b", { children: [childOf("b"), child] }));
}
