import {
  type Agent,
  eventually,
  layOut,
  ping,
  remove,
  type Strongswan,
  startAgent,
  startStrongswan,
} from "@sallyport/testkit";
import { DATA_PLANE, gatewayIntent, Pair, PEER_DATA_PLANE } from "./lab.js";
import { STARTED_BY, scenario } from "./scenario.js";
import { type Case, caseOf, kernelSa, ourConnection, theirConnection, topologyOf } from "./sequence-lab.js";
import { iptables } from "./squeezing-lab.js";

/** Limits by volume that traffic comes to. */
const NS = { ours: "sp-life-ours", theirs: "sp-life-theirs" };
const KERNEL = DATA_PLANE === "kernel";

const C = {
  ourBytes: caseOf(1, "our-bytes", { rekeyBytes: 1_000_000 }),
  theirBytes: caseOf(
    2,
    "their-bytes",
    {},
    { rekeyBytes: 1_000_000, extra: { life_bytes: "2000000", rand_bytes: "0" } },
  ),
  ourPackets: caseOf(3, "our-packets", { rekeyPackets: 1000 }),
  theirPackets: caseOf(
    4,
    "their-packets",
    {},
    { rekeyPackets: 1000, extra: { life_packets: "2000", rand_packets: "0" } },
  ),
  ourEnd: caseOf(5, "our-end", { rekeyPackets: 1000 }),
  theirEnd: caseOf(6, "their-end", {}, { rekeyPackets: 1000, extra: { life_packets: "1100", rand_packets: "0" } }),
};
const CASES: readonly Case[] = Object.values(C);
const TOPOLOGY = topologyOf(NS, CASES);

let agent: Agent;
let peer: Strongswan;
let pair: Pair;

beforeAll(async () => {
  await remove(TOPOLOGY);
  await layOut(TOPOLOGY);
  peer = await startStrongswan({
    namespace: NS.theirs,
    dataPlane: PEER_DATA_PLANE,
    secrets: CASES.map(({ tunnel: t }) => ({ owners: [t.theirs.name], secret: t.psk ?? "" })),
    connections: CASES.map(theirConnection),
  });
  const intent = gatewayIntent("ours.test", []);
  agent = await startAgent({
    namespace: NS.ours,
    dataPlane: DATA_PLANE,
    intent: { ...intent, connections: CASES.map(ourConnection) },
  });
  pair = new Pair(agent, peer, NS);
}, 90_000);
afterAll(async () => {
  await Promise.all([peer?.stop(), agent?.stop()]);
  await remove(TOPOLOGY);
}, 60_000);

describe("soft limits by volume", () => {
  // A hard limit is a tenth above, and the rekey has to be done by then.
  for (const [c, by, limit, traffic] of [
    [C.ourBytes, "ours", "octets", { count: 75, size: 16_000, intervalMs: 80 }],
    [C.theirBytes, "theirs", "octets", { count: 75, size: 16_000, intervalMs: 80 }],
    [C.ourPackets, "ours", "packets", { count: 1300, intervalMs: 5 }],
    [C.theirPackets, "theirs", "packets", { count: 1300, intervalMs: 5 }],
  ] as const) {
    scenario(
      { proves: [3, 34], role: STARTED_BY[by] },
      `${limit} that passed make ${by === "ours" ? "us" : "the peer"} rekey, no packet lost`,
      async () => {
        await pair.up(c.tunnel, by === "ours" ? "theirs" : "ours");
        const before = await pair.both(c.tunnel);
        const result = await ping(NS.ours, c.tunnel.theirs.host, { source: c.tunnel.ours.host, ...traffic });
        expect(result).toMatchObject({ sent: traffic.count, received: traffic.count });
        const after = await pair.settled(c.tunnel, ({ child }) => child.ours.spiIn !== before.child.ours.spiIn);
        expect(after.ours.spiInitiator).toBe(before.ours.spiInitiator);
        expect(after.child.ours.spiOut).not.toBe(before.child.ours.spiOut);
        // Both directions of the new pair carry packets, and the old pair is gone at both ends.
        expect(await pair.ping(c.tunnel, 5)).toMatchObject({ received: 5 });
        if (KERNEL) {
          for (const ns of [NS.ours, NS.theirs]) {
            for (const spi of [before.child.ours.spiIn, before.child.ours.spiOut]) {
              await eventually("the old SA is gone", async () => (await kernelSa(ns, spi)) === undefined || undefined);
            }
          }
        }
      },
      60_000,
    );
  }
});

/** While IKE cannot pass nobody can rekey. */
async function withoutIke(t: Case["tunnel"], action: () => Promise<void>): Promise<void> {
  const ike = ["-p", "udp", "-m", "multiport", "--dports", "500,4500", "-m", "u32", "--u32"];
  // ESP in UDP passes: only what begins with the non-ESP marker does not (RFC 3948 §2.2).
  const rules = [
    [...["-p", "udp", "--dport", "500"], "-s", t.theirs.address],
    [...["-p", "udp", "--dport", "500"], "-d", t.theirs.address],
    [...ike, "0>>22&0x3C@8=0", "-s", t.theirs.address],
    [...ike, "0>>22&0x3C@8=0", "-d", t.theirs.address],
  ].map((rule) => [...rule, "-j", "DROP"]);
  for (const rule of rules) for (const chain of ["INPUT", "OUTPUT"]) await iptables(NS.ours, "-A", chain, ...rule);
  try {
    await action();
  } finally {
    for (const chain of ["INPUT", "OUTPUT"]) await iptables(NS.ours, "-F", chain);
  }
}

describe("hard limits by volume", () => {
  for (const [c, by] of [
    [C.ourEnd, "ours"],
    [C.theirEnd, "theirs"],
  ] as const) {
    scenario(
      { proves: 34, role: STARTED_BY[by] },
      `${by === "ours" ? "our" : "the peer's"} end stops at the limit when nobody can rekey; the tunnel comes again`,
      async () => {
        const t = c.tunnel;
        await pair.up(t, by);
        const before = await pair.both(t);
        await withoutIke(t, async () => {
          const result = await ping(NS.ours, t.theirs.host, {
            source: t.ours.host,
            count: 1200,
            intervalMs: 3,
            waitMs: 300,
          });
          expect(result.received).toBeGreaterThanOrEqual(1090);
          expect(result.received).toBeLessThanOrEqual(1100);
          if (by === "ours") {
            const gone = async () => {
              const { sas } = await agent.peer(t.id);
              const left = sas.flatMap((sa) => sa.children).filter((child) => child.state === "installed");
              return left.length === 0 || undefined;
            };
            await eventually("our status has no CHILD SA", gone);
          }
          expect(await pair.ping(t, 5)).toMatchObject({ received: 0 });
        });
        const after = await eventually(
          "there is a new CHILD SA",
          async () => {
            await pair.up(t, by).catch(() => undefined);
            const ends = await pair.both(t, 0);
            return ends.child.ours.spiIn === before.child.ours.spiIn ? undefined : ends;
          },
          30_000,
        );
        expect(after.child.ours.spiOut).not.toBe(before.child.ours.spiOut);
        expect(await pair.ping(t, 5)).toMatchObject({ received: 5 });
      },
      90_000,
    );
  }
});
