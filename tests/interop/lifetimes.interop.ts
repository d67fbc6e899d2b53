import { eventually, ping } from "@sallyport/testkit";
import { DATA_PLANE } from "./lab.js";
import { STARTED_BY, scenario } from "./scenario.js";
import { type Case, caseOf, kernelSa, type OurSa, sequenceLab } from "./sequence-lab.js";
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
  noDelete: caseOf(7, "no-delete"),
};
const CASES: readonly Case[] = Object.values(C);

const lab = sequenceLab(NS, CASES);

/** A hard limit is a tenth above: at this pace the better part of a second is left for the exchange. */
const OCTETS = { count: 75, size: 16_000, intervalMs: 130 };
const PACKETS = { count: 1300, intervalMs: 8 };

/** Traffic that comes to the limit once, and what both ends have then. */
async function outlives(c: Case, traffic: typeof OCTETS | typeof PACKETS): Promise<void> {
  const t = c.tunnel;
  const before = await lab.pair.both(t);
  const result = await ping(NS.ours, t.theirs.host, { source: t.ours.host, ...traffic });
  expect(result).toMatchObject({ sent: traffic.count, received: traffic.count });
  const after = await lab.pair.settled(t, ({ child }) => child.ours.spiIn !== before.child.ours.spiIn);
  expect(after.ours.spiInitiator).toBe(before.ours.spiInitiator);
  expect(after.child.ours.spiOut).not.toBe(before.child.ours.spiOut);
  expect(await lab.pair.ping(t, 5)).toMatchObject({ received: 5 });
  if (!KERNEL) return;
  for (const ns of [NS.ours, NS.theirs]) {
    for (const spi of [before.child.ours.spiIn, before.child.ours.spiOut]) {
      await eventually("the old SA is gone", async () => (await kernelSa(ns, spi)) === undefined || undefined);
    }
  }
}

describe("soft limits by volume", () => {
  for (const [by, octets, packets] of [
    ["ours", C.ourBytes, C.ourPackets],
    ["theirs", C.theirBytes, C.theirPackets],
  ] as const) {
    scenario(
      { proves: [3, 34], role: STARTED_BY[by] },
      `octets, and packets, that passed make ${by === "ours" ? "us" : "the peer"} rekey, no packet lost`,
      async () => {
        for (const { tunnel } of [octets, packets]) await lab.pair.up(tunnel, by === "ours" ? "theirs" : "ours");
        await Promise.all([outlives(octets, OCTETS), outlives(packets, PACKETS)]);
      },
      120_000,
    );
  }
});

/** The payload of UDP, for iptables' u32; the exchange type is octet 18 of an IKE header (RFC 7296 §3.1). */
const UDP = "0>>22&0x3C@";
/** ESP in UDP is something else: only what begins with the non-ESP marker is IKE (RFC 3948 §2.2). */
const MARKED = `${UDP}8=0`;
const INFORMATIONAL = 37;

/** Packets that meet one of the rules do not pass our end. */
async function without(
  chains: readonly ("INPUT" | "OUTPUT")[],
  rules: readonly (readonly string[])[],
  action: () => Promise<void>,
): Promise<void> {
  for (const rule of rules) {
    for (const chain of chains) await iptables(NS.ours, "-A", chain, "-p", "udp", ...rule, "-j", "DROP");
  }
  try {
    await action();
  } finally {
    for (const chain of chains) await iptables(NS.ours, "-F", chain);
  }
}

/** While IKE cannot pass nobody can rekey. */
const withoutIke = ({ theirs }: Case["tunnel"], action: () => Promise<void>) => {
  const floated = ["-m", "multiport", "--dports", "500,4500", "-m", "u32", "--u32", MARKED];
  const rules = ["-s", "-d"].flatMap((end) => [
    ["--dport", "500", end, theirs.address],
    [...floated, end, theirs.address],
  ]);
  return without(["INPUT", "OUTPUT"], rules, action);
};

/** While the peer's INFORMATIONAL requests cannot pass it can rekey, and not delete. */
const withoutDeletes = ({ theirs }: Case["tunnel"], action: () => Promise<void>) => {
  const isInformational = (octet: number) => `${UDP}${octet}>>8&0xFF=${INFORMATIONAL}`;
  const rules = [
    ["--dport", "500", "-m", "u32", "--u32", isInformational(24)],
    ["--dport", "4500", "-m", "u32", "--u32", `${MARKED}&&${isInformational(28)}`],
  ];
  return without(
    ["INPUT"],
    rules.map((rule) => [...rule, "-s", theirs.address]),
    action,
  );
};

describe("a rekey of the peer whose Delete does not come", () => {
  scenario(
    { proves: 3, role: "responder" },
    "packets of the peer on the new pair are enough for us to send there",
    async () => {
      const t = C.noDelete.tunnel;
      await lab.pair.up(t, "theirs");
      const { child } = await lab.pair.both(t);
      await withoutDeletes(t, async () => {
        await lab.pair.rekey(t, "child", "theirs");
        await eventually(
          "we send on the new pair alone",
          async () => {
            expect(await lab.pair.ping(t, 5)).toMatchObject({ received: 5 });
            const ours = ((await lab.agent.ask("sas")) as readonly OurSa[]).filter((sa) => sa.child === `${t.id}-net`);
            const [out, ...more] = ours.filter((sa) => sa.direction === "out");
            const isNew = out !== undefined && more.length === 0 && Number.parseInt(out.spi, 16) !== child.ours.spiOut;
            return isNew && ours.length === 3 && Number(out.packets) > 0 ? true : undefined;
          },
          // Without packets it would take ten seconds.
          9_000,
        );
      });
      await lab.pair.settled(t, (ends) => ends.child.ours.spiIn !== child.ours.spiIn, 30_000);
      expect(await lab.pair.ping(t, 5)).toMatchObject({ received: 5 });
    },
    120_000,
  );
});

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
        await lab.pair.up(t, by);
        const before = await lab.pair.both(t);
        await withoutIke(t, async () => {
          const { received } = await ping(NS.ours, t.theirs.host, {
            source: t.ours.host,
            count: 1300,
            intervalMs: 3,
            waitMs: 1_000,
          });
          // Requests and replies are counted apart: 1,100 of each.
          expect(received).toBeGreaterThan(1000);
          expect(received).toBeLessThanOrEqual(1100);
          expect(await lab.pair.ping(t, 5, { waitMs: 1_000 })).toMatchObject({ received: 0 });
        });
        const after = await eventually(
          "there is a new CHILD SA",
          async () => {
            await lab.pair.up(t, by).catch(() => undefined);
            const ends = await lab.pair.both(t, 0);
            return ends.child.ours.spiIn === before.child.ours.spiIn ? undefined : ends;
          },
          120_000,
        );
        expect(after.child.ours.spiOut).not.toBe(before.child.ours.spiOut);
        expect(await lab.pair.ping(t, 5)).toMatchObject({ received: 5 });
      },
      120_000,
    );
  }
});
