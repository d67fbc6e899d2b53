import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { eventually, ping } from "@sallyport/testkit";
import { againstLibreswan } from "./daemons.js";
import type { TunnelCase } from "./lab.js";
import { ASKS_ADDRESS, type Differences, GIVES_ADDRESS, libreswanCase, libreswanSetup } from "./libreswan-lab.js";
import { OURS, Roaming, SECOND, THEIRS } from "./moving-lab.js";
import { scenario } from "./scenario.js";

const run = promisify(execFile);
const roaming = new Roaming("sp-lmov");

/** libreswan moves only as one of the two ends of a virtual address: who has it moves, who gave it follows. */
const given = (n: number, id: string) =>
  between(n, id, {
    connection: (plain) => ({
      role: "initiator",
      dpd: { intervalSeconds: 1 },
      addressRequest: { families: ["ipv4"] },
      children: plain.children.map((child) => ({ ...child, localSubnets: [] })),
    }),
    settings: { ...GIVES_ADDRESS, mobike: "yes" },
  });
/** The same, and libreswan calls. */
const asking = (n: number, id: string, mobike: "yes" | "no") =>
  between(n, id, {
    connection: (plain) => ({
      role: "responder",
      remote: { ports: { ike: 500, natt: 4500 } },
      modeConfig: { poolIds: ["pool"] },
      children: plain.children.map((child) => ({ ...child, remoteSubnets: [] })),
    }),
    settings: { ...ASKS_ADDRESS, mobike, dpddelay: "1s", dpdtimeout: "30s", dpdaction: "hold" },
  });
function between(n: number, id: string, differences: Differences) {
  const theirs = { ...THEIRS, name: `theirs${n}.test` };
  return libreswanCase(n, id, { ...differences, tunnel: { ours: OURS, theirs } });
}
const C = {
  weMove: given(1, "we-move"),
  theyMove: asking(3, "they-move", "yes"),
  theyAreHidden: asking(4, "they-are-hidden", "no"),
};

const lab = againstLibreswan(roaming.ends, roaming.topology).forFile(async () => {
  await roaming.settle();
  const { peer, agent } = libreswanSetup(Object.values(C));
  const pools = [{ id: "pool", name: "pool", addresses: ["10.9.0.0/24"] }];
  return { peer, agent: { ...agent, intent: { ...agent.intent, pools } } };
});

/** Between which addresses a tunnel runs: local and remote, as we say, and as libreswan's kernel has its SAs. */
async function ends(t: TunnelCase) {
  const { ours, child } = await lab.pair.both(t);
  const { stdout } = await run("ip", ["-n", roaming.ends.theirs, "xfrm", "state", "list"]);
  const addressesOf = (spi: number) =>
    new RegExp(`src (\\S+) dst (\\S+)\\s+proto esp spi 0x0*${spi.toString(16)} `).exec(stdout)?.slice(1) ?? [];
  return {
    ours: [String(ours.local.address), String(ours.remote.address)],
    theirs: [addressesOf(child.theirs.spiOut), addressesOf(child.theirs.spiIn).reverse()],
  };
}
type Way = readonly [local: string, remote: string];
const runs = (t: TunnelCase, ours: Way, theirs: Way = [ours[1], ours[0]]) =>
  eventually(
    `the tunnel runs from ${ours.join(" to ")}, for libreswan from ${theirs.join(" to ")}`,
    async () => {
      const now = JSON.stringify(await ends(t));
      if (now !== JSON.stringify({ ours, theirs: [theirs, theirs] })) throw new Error(now);
      return true;
    },
    120_000,
  );

async function up(t: TunnelCase, by: "ours" | "theirs") {
  await lab.pair.up(t, by);
  const before = await lab.pair.both(t);
  const virtual = String((by === "ours" ? before.ours.virtual?.local : before.ours.virtual?.remote)?.[0]);
  const [namespace, target] = by === "ours" ? [roaming.ends.ours, THEIRS.host] : [roaming.ends.theirs, OURS.host];
  return {
    /** Packets with the virtual address of whoever called. */
    passes: () =>
      eventually("traffic passes", async () => {
        return (
          (await ping(namespace, target, { source: virtual, count: 5, waitMs: 1_000 })).received === 5 || undefined
        );
      }),
    /** The SAs of before, and with them the virtual address. */
    async stays(): Promise<void> {
      const after = await lab.pair.both(t);
      const of = ({ ours, child }: typeof after) => [ours.spiInitiator, child.ours.spiIn, child.ours.spiOut];
      expect(of(after)).toEqual(of(before));
    },
  };
}
async function end(t: TunnelCase): Promise<void> {
  await lab.peer.terminate({ ike: t.id });
  await lab.agent.ask("down", { tunnel: t.id });
  await lab.pair.gone(t);
}

/** The router hides what it sends by `device` while `act` runs; `readdress` gives it another address there, and its NAT forgets. */
async function hidden(device: string, first: string, act: (readdress: (to: string) => Promise<void>) => Promise<void>) {
  const nat = (what: string) =>
    roaming.run(roaming.router, "iptables-legacy", "-t", "nat", what, "POSTROUTING", "-o", device, "-j", "MASQUERADE");
  const readdress = async (to: string) => {
    await roaming.run(roaming.router, "ip", "addr", "flush", "dev", device);
    await roaming.run(roaming.router, "ip", "addr", "add", `${to}/25`, "dev", device);
  };
  await nat("-A");
  try {
    await act(readdress);
  } finally {
    await nat("-D");
    await readdress(first);
  }
}

describe("our end moves, libreswan", () => {
  scenario(
    { proves: 21, peer: "libreswan", role: "initiator" },
    "to another link and back: the same SAs, the same virtual address",
    async () => {
      const t = C.weMove.tunnel;
      const { passes, stays } = await up(t, "ours");
      await runs(t, [OURS.address, THEIRS.address]);
      await passes();
      await roaming.address("ours", "del", 0);
      await roaming.routeBy("ours", 1);
      await runs(t, [SECOND.ours, THEIRS.address]);
      await passes();
      await roaming.address("ours", "add", 0);
      await roaming.routeBy("ours", 0);
      await roaming.address("ours", "del", 1);
      await runs(t, [OURS.address, THEIRS.address]);
      await passes();
      await stays();
      await end(t);
    },
    120_000,
  );
});

describe("libreswan moves", () => {
  scenario(
    { proves: [5, 21], peer: "libreswan", role: "responder" },
    "the mapping of the NAT before it changes, and we, without MOBIKE, follow",
    () =>
      hidden("ours1", "192.0.2.1", async (readdress) => {
        const t = C.theyAreHidden.tunnel;
        const { passes, stays } = await up(t, "theirs");
        await runs(t, [OURS.address, "192.0.2.1"], [THEIRS.address, OURS.address]);
        await passes();
        await readdress("192.0.2.9");
        await runs(t, [OURS.address, "192.0.2.9"], [THEIRS.address, OURS.address]);
        await passes();
        await stays();
        await end(t);
      }),
    90_000,
  );

  scenario(
    { proves: 21, peer: "libreswan", role: "responder" },
    "to another link: the same SAs, the same virtual address",
    async () => {
      const t = C.theyMove.tunnel;
      const { passes, stays } = await up(t, "theirs");
      await runs(t, [OURS.address, THEIRS.address]);
      await passes();
      await roaming.routeBy("theirs", 1);
      await roaming.address("theirs", "del", 0);
      await runs(t, [OURS.address, SECOND.theirs]);
      await passes();
      await stays();
    },
    120_000,
  );
});
