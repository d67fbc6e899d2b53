import { EXCHANGE, NOTIFY, NOTIFY_DATA, peekHeader } from "@sallyport/ike";
import fc from "fast-check";
import { disagreements } from "./agreement.js";
import { childOf, configOf, ESP_PROPOSAL, peerOf, range } from "./configs.js";
import type { Packet } from "./network.js";
import { type Pair, pair } from "./simulation.js";
import { deletion, stageUp } from "./stage.spec-helper.js";

const { CREATE_CHILD_SA, INFORMATIONAL } = EXCHANGE;
const MORE = 8;

/** One end with the whole net and some more CHILD SAs of a port each. */
function manyChildren(mine: "a" | "b", window: number) {
  const [local, remote] = mine === "a" ? ["10.1.0.0/16", "10.2.0.0/16"] : ["10.2.0.0/16", "10.1.0.0/16"];
  const extra = Array.from({ length: MORE }, (_, i) =>
    childOf(mine, {
      id: `udp${i}`,
      name: `udp${i}`,
      local: [range(local, 17, 7000 + i)],
      remote: [range(remote, 17, 7000 + i)],
      priority: 1000,
      proposals: [{ ...ESP_PROPOSAL, pfs: i % 2 ? [] : ["x25519"] }],
    }),
  );
  return configOf(peerOf(mine, { window, children: [childOf(mine), ...extra] }));
}

/** How many requests of one end went out before the other had answered the oldest of them, at most. */
function widest({ sim }: Pair): () => number {
  const open = new Map<string, Set<number>>();
  const done = new Set<string>();
  let most = 0;
  sim.network.taps.push((p: Packet) => {
    const head = peekHeader(p.datagram);
    if (!head || head.exchange === EXCHANGE.IKE_SA_INIT) return p;
    const asker = head.response ? p.to.address : p.from.address;
    const key = `${asker} ${head.initiatorSpi} ${head.responderSpi}`;
    const mids = open.get(key) ?? new Set();
    if (head.response) {
      mids.delete(head.messageId);
      done.add(`${key} ${head.messageId}`);
    } else if (!done.has(`${key} ${head.messageId}`)) mids.add(head.messageId);
    open.set(key, mids);
    if (mids.size > 0) most = Math.max(most, Math.max(...mids) - Math.min(...mids) + 1);
    return p;
  });
  return () => most;
}

describe("windows above one (RFC 7296 §2.3)", () => {
  test.each([
    [1, 1, 1],
    [1, 4, 1],
    [4, 1, 1],
    [4, 4, 4],
    [16, 3, 3],
  ])("%i and %i: nine CHILD SAs with at most %i requests under way", (atA, atB, expected) => {
    const p = pair({ a: manyChildren("a", atA), b: manyChildren("b", atB) });
    const most = widest(p);
    p.sim.run(10);
    expect(disagreements(p.a, p.b, MORE + 1)).toEqual([]);
    expect(most()).toBe(expected);
  });

  test("whatever loss, duplication and reordering do, both ends agree", () => {
    const window = fc.constantFrom(1, 2, 4, 16);
    const faults = fc.record({
      loss: fc.double({ min: 0, max: 0.3, noNaN: true }),
      duplication: fc.double({ min: 0, max: 0.5, noNaN: true }),
      delay: fc.integer({ min: 1, max: 100 }),
      jitter: fc.integer({ min: 0, max: 400 }),
    });
    fc.assert(
      fc.property(fc.integer(), window, window, faults, (seed, atA, atB, bad) => {
        const p = pair({ seed, a: manyChildren("a", atA), b: manyChildren("b", atB) });
        p.a.dataPlaneDelay = seed & 15;
        p.b.cryptoDelay = (seed >> 4) & 31;
        const most = widest(p);
        p.sim.faults(bad);
        for (const at of [5_000, 20_000]) {
          p.sim.clock.at(at, () => {
            for (let i = 0; i < MORE; i++) {
              p.a.command({ command: "rekey-child", peer: "b", child: `udp${i}` });
              if (i % 3) p.b.command({ command: "rekey-child", peer: "a", child: `udp${i}` });
            }
            p.b.command({ command: "probe", peer: "a" });
          });
        }
        p.sim.clock.at(12_000, () => p.b.command({ command: "rekey-ike", peer: "a" }));
        p.sim.run(60);
        p.sim.faults({ loss: 0, duplication: 0, delay: 10, jitter: 0 });
        p.sim.run(240);
        expect(disagreements(p.a, p.b, MORE + 1)).toEqual([]);
        expect(most()).toBeLessThanOrEqual(Math.min(atA, atB));
      }),
      { numRuns: Number(process.env.SIM_RUNS ?? 30), endOnFailure: true },
    );
  });

  test("a rekeyed IKE SA begins with one and opens its window anew", () => {
    const p = pair({ a: manyChildren("a", 4), b: manyChildren("b", 4) });
    p.sim.run(10);
    p.b.command({ command: "rekey-ike", peer: "a" });
    p.sim.run(5);
    const most = widest(p);
    for (let i = 0; i < MORE; i++) p.a.command({ command: "rekey-child", peer: "b", child: `udp${i}` });
    p.sim.run(20);
    expect(most()).toBe(4);
    expect(disagreements(p.a, p.b, MORE + 1)).toEqual([]);
  });

  test("an exchange on the whole IKE SA waits for those under way, and they for it", () => {
    const p = pair({ a: manyChildren("a", 4), b: manyChildren("b", 4) });
    p.sim.run(10);
    p.a.events.length = 0;
    for (let i = 0; i < 3; i++) p.a.command({ command: "rekey-child", peer: "b", child: `udp${i}` });
    p.a.command({ command: "rekey-ike", peer: "b" });
    for (let i = 3; i < 6; i++) p.a.command({ command: "rekey-child", peer: "b", child: `udp${i}` });
    p.sim.run(20);
    const order = p.a.events.map((e) => e.event).filter((e) => e.endsWith("-rekeyed"));
    expect(order).toEqual([..."ccciccc"].map((c) => (c === "i" ? "ike-rekeyed" : "child-rekeyed")));
    expect(disagreements(p.a, p.b, MORE + 1)).toEqual([]);
  });
});

describe("a peer that knows the keys and no rules", () => {
  const size = (n: number) => [NOTIFY_DATA.SET_WINDOW_SIZE.build(n)];

  test("requests out of order are answered in order, once their turn has come", () => {
    const { b, peer } = stageUp();
    const first = peer.mid;
    for (const ahead of [3, 1, 2]) expect(peer.ask(INFORMATIONAL, [], first + ahead)).toBeUndefined();
    expect(peer.ask(INFORMATIONAL, [], first)?.header.messageId).toBe(first + 3);
    const mids = peer.replies.slice(-4).map((r) => r.header.messageId);
    expect(mids).toEqual([first, first + 1, first + 2, first + 3]);
    expect(b.established()).toHaveLength(1);
  });

  test("outside the window: beyond it, of the past, and again and again", () => {
    const { b, peer } = stageUp();
    const first = peer.mid;
    for (const mid of [first + 4, first + 5, 0xffff_ffff]) expect(peer.ask(INFORMATIONAL, [], mid)).toBeUndefined();
    expect(b.count("request-outside-window")).toBe(3);
    for (let i = 0; i < 5; i++) expect(peer.ask(INFORMATIONAL, [], first + 1)).toBeUndefined();
    expect(b.count("request-in-progress")).toBe(4);
    for (let i = 0; i < 8; i++) peer.ask(INFORMATIONAL, [], first + i);
    const past = peer.replies.at(-1)?.header.messageId ?? 0;
    expect(past).toBe(first + 7);
    for (let back = 0; back < 4; back++) {
      const again = peer.ask(INFORMATIONAL, [deletion(0x2000)], past - back);
      expect(again).toMatchObject({ header: { messageId: past - back }, payloads: [] });
    }
    expect(peer.ask(INFORMATIONAL, [], past - 4)).toBeUndefined();
    expect(b.count("request-replayed")).toBe(1);
    expect(b.dataPlane.sas.size).toBe(2);
    expect(b.engine.sizes()).toMatchObject({ ikeSas: 1, waiting: 0 });
  });

  test("a malformed request that came early is refused in its turn, and what follows it hears of a dead IKE SA", () => {
    const { b, peer } = stageUp();
    const first = peer.mid;
    expect(peer.ask(CREATE_CHILD_SA, [], first + 1)).toBeUndefined();
    peer.ask(INFORMATIONAL, [], first);
    expect(peer.replies.at(-1)).toMatchObject({ payloads: [{ kind: "N", type: NOTIFY.INVALID_SYNTAX }] });
    expect(b.established()).toEqual([]);
  });

  test.each([0, 1, 5, 0xffff_ffff])("a window of %i is taken as far as this end would go itself", (n) => {
    const { b, peer, sim, asked } = stageUp();
    expect(peer.ask(INFORMATIONAL, size(n))?.payloads).toEqual(size(4));
    asked.length = 0;
    for (let i = 0; i < 9; i++) {
      b.command({ command: "probe", peer: "a" });
      b.command({ command: "rekey-child", peer: "a", child: "net" });
    }
    sim.run(0.1);
    expect(asked).toHaveLength(n > 1 ? 2 : 1);
  });

  test("a window of a wrong size is a syntax error", () => {
    const { peer } = stageUp();
    const bad = { ...NOTIFY_DATA.SET_WINDOW_SIZE.build(4), data: Uint8Array.of(4) };
    expect(peer.ask(INFORMATIONAL, [bad])?.payloads).toMatchObject([{ kind: "N", type: NOTIFY.INVALID_SYNTAX }]);
  });
});
