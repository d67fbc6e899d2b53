import { DEFAULT_LIMITS, EXCHANGE, type Payload } from "@sallyport/ike";
import { configOf, peerOf } from "./configs.js";
import { SeededRng } from "./rng.js";
import { ScriptedPeer } from "./scripted-peer.js";
import { childPayloads, nonce, SECRET, stage, stageUp } from "./stage.spec-helper.js";

const { IKE_AUTH, CREATE_CHILD_SA } = EXCHANGE;
const LIMIT = 40_000;
/** A payload that nobody knows and that takes two fragments. */
const bulk = (octets: number): Payload => ({ kind: "unknown", type: 200, data: new Uint8Array(octets) });

function crowd(s: ReturnType<typeof stage>) {
  const { b } = s;
  const limits = { ...DEFAULT_LIMITS, partialBytes: LIMIT, cookieThreshold: 1_000, halfOpenPerSource: 1_000 };
  b.configure({ ...configOf(peerOf("b", { passive: true })), limits });
  const out: Uint8Array[] = [];
  s.sim.network.taps.unshift((p) => {
    out.push(p.datagram);
    return p;
  });
  /** Another initiator at `a`'s address, who has keys. */
  const joins = (n: number) => {
    const from = { address: peerOf("a").local.address ?? b.address, port: 1_000 + n };
    const peer = new ScriptedPeer(BigInt(1_000 + n), new SeededRng(n), (datagram) => {
      out.length = 0;
      b.receive({ address: b.address, port: 500 }, from, datagram);
      return [...out];
    });
    peer.init();
    return peer;
  };
  return { joins, held: () => b.engine.sizes().partialBytes };
}

/** All but the last fragment of a long message. */
function begins(peer: ScriptedPeer, exchange: number, payloads: readonly Payload[], octets = 9_000): Uint8Array {
  const fragments = peer.sealFragments(exchange, [...payloads, bulk(octets)], octets);
  const last = fragments.pop() as Uint8Array;
  for (const fragment of fragments) peer.send(fragment);
  return last;
}

describe("messages that never become whole (hostile input 7, 21)", () => {
  test("take a bounded number of octets of all strangers together, the oldest of them give way", () => {
    const s = stage();
    const { joins, held } = crowd(s);
    const lasts = Array.from({ length: 20 }, (_, n) => {
      const peer = joins(n);
      const last = begins(peer, IKE_AUTH, peer.authPayloads("a.example", SECRET, childPayloads(0x4000 + n)));
      expect(held()).toBeLessThanOrEqual(LIMIT);
      return { peer, last };
    });
    expect(held()).toBeGreaterThan(LIMIT / 2);
    expect(s.b.count("partial-message-dropped")).toBeGreaterThan(10);
    // The last to come is heard, the first has to come again.
    lasts[0]?.peer.send(lasts[0].last);
    expect(s.b.established()).toHaveLength(0);
    lasts[19]?.peer.send(lasts[19].last);
    expect(s.b.established()).toHaveLength(1);
    s.sim.run(120);
    expect(held()).toBe(0);
  });

  test("of strangers displace none of a peer", () => {
    const s = stageUp();
    const { joins, held } = crowd(s);
    const last = begins(s.peer, CREATE_CHILD_SA, childPayloads(0x3000, [nonce()]), 30_000);
    for (let n = 0; n < 20; n++) begins(joins(n), IKE_AUTH, [], 15_000);
    expect(held()).toBeLessThanOrEqual(LIMIT);
    expect(s.b.count("partial-messages-limit")).toBeGreaterThan(0);
    expect(s.peer.send(last)?.payloads.map((p) => p.kind)).toContain("SA");
    expect(s.b.established()[0]?.children).toHaveLength(2);
  });

  test("of a peer make way for those of another", () => {
    const s = stageUp();
    const { joins, held } = crowd(s);
    begins(s.peer, CREATE_CHILD_SA, childPayloads(0x3000, [nonce()]), 30_000);
    const other = joins(1);
    other.ask(IKE_AUTH, other.authPayloads("a.example", SECRET, childPayloads(0x2001)));
    const last = begins(other, CREATE_CHILD_SA, childPayloads(0x3001, [nonce()]), 30_000);
    expect(held()).toBeLessThanOrEqual(LIMIT);
    expect(other.send(last)?.payloads.map((p) => p.kind)).toContain("SA");
  });
});
