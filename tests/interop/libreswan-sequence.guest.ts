import { ping } from "@sallyport/testkit";
import { early } from "./counters.js";
import { againstLibreswan } from "./daemons.js";
import { cutOff, libreswanCable, libreswanCase, libreswanSetup } from "./libreswan-lab.js";
import { STARTED_BY, scenario } from "./scenario.js";
import { kernelSa, ourInbound } from "./sequence-lab.js";

/** Replay windows as both kernels have them, and limits of packets. */
const NS = { ours: "sp-lseq-ours", theirs: "sp-lseq-theirs" };

const WINDOWS = [32, 64, 256, 512, 2048].map((replayWindow, i) => ({
  replayWindow,
  by: i % 2 === 0 ? ("ours" as const) : ("theirs" as const),
  // Every other one with extended numbers, whose window is judged in another way.
  c: libreswanCase(i + 1, `window-${replayWindow}`, {
    tunnel: { esp: [i % 2 === 0 ? "aes256gcm16" : "aes256gcm16-esn"] },
    child: { replayWindow },
    settings: { "replay-window": String(replayWindow) },
  }),
}));
const OUR_PACKETS = libreswanCase(10, "our-packets", { child: { rekeyPackets: 1000 } });
const THEIR_PACKETS = libreswanCase(11, "their-packets", { settings: { "ipsec-max-packets": "2000" } });
const CASES = [...WINDOWS.map(({ c }) => c), OUR_PACKETS, THEIR_PACKETS];
const lab = againstLibreswan(NS, libreswanCable(NS, CASES)).forFile(() => libreswanSetup(CASES));

for (const { c, by, replayWindow } of WINDOWS) {
  scenario(
    { proves: 34, peer: "libreswan", role: STARTED_BY[by] },
    `a replay window of ${replayWindow} packets in both kernels and in our status, started by ${by}`,
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

for (const [{ tunnel }, by] of [
  [OUR_PACKETS, "ours"],
  [THEIR_PACKETS, "theirs"],
] as const) {
  scenario(
    { proves: [3, 34], peer: "libreswan", role: STARTED_BY[by] },
    `a CHILD SA is rekeyed after some packets, by ${by}, none lost but by libreswan`,
    async () => {
      const lostByThem = () => (by === "ours" ? early(lab.agent) : cutOff(lab.peer));
      await lab.pair.up(tunnel, by);
      const before = await lab.pair.both(tunnel);
      const already = await lostByThem();
      const traffic = { source: tunnel.ours.host, count: 1600, intervalMs: 5 };
      const { sent, received } = await ping(NS.ours, tunnel.theirs.host, traffic);
      expect(sent).toBe(1600);
      expect(sent - received).toBeLessThanOrEqual((await lostByThem()) - already);
      const after = await lab.pair.settled(tunnel, ({ child }) => child.theirs.spiIn !== before.child.theirs.spiIn);
      expect(after.ours.spiInitiator).toBe(before.ours.spiInitiator);
      expect(await lab.pair.ping(tunnel, 5)).toMatchObject({ received: 5 });
    },
    120_000,
  );
}
