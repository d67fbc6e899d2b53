import type { ChildStatus } from "@sallyport/ike";
import { eventually, ping } from "@sallyport/testkit";
import { STARTED_BY, scenario } from "./scenario.js";
import { type Case, caseOf, type KernelSaText, kernelSa, ourInbound, sequenceLab } from "./sequence-lab.js";
import { run } from "./squeezing-lab.js";

/** Sequence numbers and replay windows as both ends' kernels have them, which strongSwan's ESP in user space has not. */
const NS = { ours: "sp-seq-ours", theirs: "sp-seq-theirs" };
const WITH = { esn: ["aes256gcm16-esn"], none: ["aes256gcm16-noesn"], both: ["aes256gcm16-esn-noesn"] } as const;

let next = 1;
const esn = (ours: keyof typeof WITH, theirs: keyof typeof WITH, by = "either"): Case =>
  caseOf(next++, `${ours}-${theirs}-${by}`, { espProposals: WITH[ours] }, { proposals: WITH[theirs] });
const MATCHING = (
  [
    ["esn", "esn", "ours", true],
    ["esn", "esn", "theirs", true],
    ["esn", "both", "ours", true],
    ["both", "esn", "theirs", true],
    ["both", "both", "ours", true],
    ["both", "both", "theirs", true],
    ["both", "none", "ours", false],
    ["none", "both", "theirs", false],
  ] as const
).map(([ours, theirs, by, extended]) => ({ c: esn(ours, theirs, by), by, extended }));
const REFUSED = esn("esn", "none");

const WINDOWS = [32, 64, 128, 256, 384, 512, 1024, 4096].map((replayWindow, i) => ({
  replayWindow,
  // Every other one with extended numbers, whose window is judged in another way.
  c: caseOf(
    next++,
    `window-${replayWindow}`,
    { replayWindow, espProposals: i % 2 === 0 ? WITH.none : WITH.esn },
    { replayWindow, proposals: i % 2 === 0 ? WITH.none : WITH.esn },
  ),
}));

const lossy = (replayWindow: number) => ({
  replayWindow,
  c: caseOf(next++, `crowded-${replayWindow}`, { replayWindow }, { replayWindow }),
});
const NARROW = lossy(32);
const WIDE = lossy(1024);

const CASES: readonly Case[] = [...MATCHING.map(({ c }) => c), REFUSED, ...WINDOWS.map(({ c }) => c), NARROW.c, WIDE.c];
const lab = sequenceLab(NS, CASES);

/** Of the SAs in both directions, as the kernel at either end has them. */
async function kernelsSay<T>(child: ChildStatus, what: (sa: KernelSaText) => T): Promise<T[]> {
  const ends = [NS.ours, NS.theirs].flatMap((ns) => [child.spiIn, child.spiOut].map((spi) => kernelSa(ns, spi)));
  return (await Promise.all(ends)).map((sa) => {
    if (!sa) throw new Error("a kernel does not have the SA");
    return what(sa);
  });
}

describe("extended sequence numbers", () => {
  for (const { c, by, extended } of MATCHING) {
    scenario(
      { proves: 34, role: STARTED_BY[by] },
      `we ${c.child.espProposals}, they ${c.theirs.proposals}: ${extended ? "extended" : "not"}, started by ${by}`,
      async () => {
        await lab.pair.up(c.tunnel, by);
        const { child } = await lab.pair.both(c.tunnel);
        expect(child.theirs.esn).toBe(extended);
        expect(child.ours.suite.split("/").at(-1)).toBe(extended ? "ESN" : "NO_ESN");
        expect(await kernelsSay(child.ours, ({ esn }) => esn)).toEqual([extended, extended, extended, extended]);
        expect(await lab.pair.ping(c.tunnel, 5)).toMatchObject({ received: 5 });
      },
      120_000,
    );
  }

  for (const by of ["ours", "theirs"] as const) {
    scenario(
      { proves: [14, 34], role: STARTED_BY[by] },
      `one end only extended, the other only not: refused, started by ${by}`,
      async () => {
        const { id } = REFUSED.tunnel;
        await lab.pair.up(REFUSED.tunnel, by).catch(() => undefined);
        const error = await eventually("the refusal is known", async () => {
          const { childErrors, lastError } = await lab.agent.peer(id);
          return childErrors[`${id}-net`] ?? lastError;
        });
        expect(error.code).toBe("ike/no-proposal-chosen");
        expect(error.ours).toMatch(/ESN/);
        expect((await lab.peer.listSas(id)).flatMap((sa) => sa.children)).toEqual([]);
        await lab.agent.ask("down", { tunnel: REFUSED.tunnel.id }).catch(() => undefined);
      },
      120_000,
    );
  }
});

describe("replay windows", () => {
  for (const [i, { c, replayWindow }] of WINDOWS.entries()) {
    const by = i % 4 < 2 ? "ours" : "theirs";
    scenario(
      { proves: 34, role: STARTED_BY[by] },
      `of ${replayWindow} packets in both kernels and in our status, started by ${by}`,
      async () => {
        await lab.pair.up(c.tunnel, by);
        const { child } = await lab.pair.both(c.tunnel);
        const [ours, theirs] = await Promise.all([
          kernelSa(NS.ours, child.ours.spiIn),
          kernelSa(NS.theirs, child.theirs.spiIn),
        ]);
        expect([ours?.replayWindow, theirs?.replayWindow]).toEqual([replayWindow, replayWindow]);
        expect((await ourInbound(lab.agent, c.tunnel)).replayWindow).toBe(replayWindow);
        expect(await lab.pair.ping(c.tunnel, 5)).toMatchObject({ received: 5 });
      },
      120_000,
    );
  }
});

describe("packets that come twice or late", () => {
  const netem = (ns: string, ...what: string[]) => run(ns, "tc", "qdisc", "replace", "dev", "wan", "root", ...what);
  const both = (...what: string[]) => Promise.all([NS.ours, NS.theirs].map((ns) => netem(ns, ...what)));

  for (const [{ c, replayWindow }, by] of [
    [NARROW, "ours"],
    [WIDE, "theirs"],
  ] as const) {
    scenario(
      { proves: 34, role: STARTED_BY[by] },
      `are dropped and counted at both ends, with a window of ${replayWindow}`,
      async () => {
        const t = c.tunnel;
        await lab.pair.up(t, by);
        const { child } = await lab.pair.both(t);
        await both("netem", "delay", "60ms", "reorder", "90%", "duplicate", "20%");
        // What is held back is overtaken by more packets than a narrow window has room for.
        const crowd = { source: t.ours.host, count: 600, intervalMs: 0.2, waitMs: 2000 };
        const { received } = await ping(NS.ours, t.theirs.host, crowd);
        await both("pfifo");
        const ours = await ourInbound(lab.agent, c.tunnel);
        const theirs = await kernelSa(NS.theirs, child.theirs.spiIn);
        expect(ours.replayed).toBeGreaterThan(0);
        expect(theirs?.replayed).toBeGreaterThan(0);
        if (replayWindow > 600) {
          expect([ours.outOfWindow, theirs?.outOfWindow, received]).toEqual([0, 0, 600]);
          // None was let in twice; ping may have sent more than it was asked for.
          const [ourIn = 0, ourOut = 0, theirOut = 0, theirIn = 0] = await kernelsSay(child.ours, (sa) => sa.packets);
          expect(Math.min(ourIn, theirIn)).toBeGreaterThanOrEqual(600);
          expect([ourIn <= theirOut, theirIn <= ourOut]).toEqual([true, true]);
        } else {
          expect(ours.outOfWindow).toBeGreaterThan(0);
          expect(theirs?.outOfWindow).toBeGreaterThan(0);
          expect(received).toBeLessThan(600);
        }
        expect(await lab.pair.ping(t, 5)).toMatchObject({ received: 5 });
      },
      120_000,
    );
  }
});
