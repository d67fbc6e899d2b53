import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { eventually, ping } from "@sallyport/testkit";
import { againstLibreswan } from "./daemons.js";
import {
  endBy,
  type LibreswanCase,
  libreswanCable,
  libreswanCase,
  libreswanSetup,
  type Settings,
} from "./libreswan-lab.js";
import { STARTED_BY, scenario } from "./scenario.js";

const run = promisify(execFile);
const NS = { ours: "sp-ltransport-ours", theirs: "sp-ltransport-theirs" };

/** From address to address. */
const HOSTS: Settings = { type: "transport", leftsubnet: undefined, rightsubnet: undefined };
const GRE: Settings = { ...HOSTS, leftprotoport: "gre", rightprotoport: "gre" };
const grown = (n: number, startAction: "trap" | "none") => ({
  child: {
    mode: "transport" as const,
    localSubnets: ["192.0.2.1/32[gre]"],
    remoteSubnets: [`192.0.2.${10 + n}/32[gre]`],
    startAction,
  },
  settings: GRE,
});
const C = {
  hosts: libreswanCase(1, "hosts", {
    child: { mode: "transport", localSubnets: [], remoteSubnets: [] },
    settings: HOSTS,
  }),
  ourGre: libreswanCase(2, "our-gre", grown(2, "trap")),
  theirGre: libreswanCase(3, "their-gre", grown(3, "none")),
};
const CASES = Object.values(C);
const lab = againstLibreswan(NS, libreswanCable(NS, CASES)).forFile(() => libreswanSetup(CASES));

const inside = async (namespace: string, ...command: string[]) =>
  (await run("ip", ["netns", "exec", namespace, ...command])).stdout;

/** A GRE device at either end; gives the addresses on it. */
async function makeGre({ tunnel: t }: LibreswanCase, n: number) {
  const address = { ours: `10.9.${n}.1`, theirs: `10.9.${n}.2` };
  for (const [end, other] of [
    ["ours", "theirs"],
    ["theirs", "ours"],
  ] as const) {
    const [local, remote] = [t[end].address, t[other].address];
    const device = `gre${n}`;
    const link = ["link", "add", device, "type", "gre", "local", local, "remote", remote, "ttl", "64"];
    await inside(NS[end], "ip", ...link);
    await inside(NS[end], "ip", "addr", "add", `${address[end]}/30`, "dev", device);
    await inside(NS[end], "ip", "link", "set", device, "mtu", "1400", "up");
  }
  return address;
}

/** What passes only as it is meant to: packets of GRE that came in clear, as either end's firewall counts them. */
const IN_CLEAR = ["INPUT", "-p", "gre", "-m", "policy", "--dir", "in", "--pol", "none"];
async function cameInClear(): Promise<number> {
  const counts = await Promise.all(
    Object.values(NS).map(async (ns) => {
      const rule = (await inside(ns, "iptables-legacy", "-nvxL", "INPUT"))
        .split("\n")
        .find((l) => l.includes("pol none"));
      return Number(rule?.trim().split(/\s+/)[0]);
    }),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

describe("transport mode, libreswan", () => {
  for (const by of ["ours", "theirs"] as const) {
    scenario(
      { proves: 17, peer: "libreswan", role: STARTED_BY[by] },
      `between the ends, rekeyed, started by ${by}`,
      async () => {
        const { tunnel: t } = C.hosts;
        const traffic = () => ping(NS.ours, t.theirs.address, { source: t.ours.address, count: 10 });
        await lab.pair.up(t, by);
        const first = await lab.pair.both(t);
        expect(first.child.ours).toMatchObject({ mode: "transport", encapsulated: false });
        expect(await inside(NS.theirs, "ip", "xfrm", "state", "list")).toMatch(/mode transport/);
        expect(await traffic()).toMatchObject({ received: 10 });
        const counted = await lab.pair.both(t);
        expect(counted.child.theirs.bytesIn).toBeGreaterThanOrEqual(10 * 64);
        await lab.pair.rekey(t, "child", by);
        await lab.pair.settled(t, ({ child }) => child.theirs.spiIn !== first.child.theirs.spiIn);
        expect(await traffic()).toMatchObject({ received: 10 });
        await endBy(lab, C.hosts, by);
      },
      120_000,
    );
  }

  for (const [c, n, by] of [
    [C.ourGre, 2, "ours"],
    [C.theirGre, 3, "theirs"],
  ] as const) {
    scenario(
      { proves: [9, 17], peer: "libreswan", role: STARTED_BY[by] },
      `GRE inside, started by the first packet of ${by}; nothing leaves in clear`,
      async () => {
        const { tunnel: t } = c;
        for (const ns of Object.values(NS)) await inside(ns, "iptables-legacy", "-A", ...IN_CLEAR);
        if (by === "theirs") await lab.peer.route(`${t.id}-net`);
        const address = await makeGre(c, n);
        const [from, to] = by === "ours" ? [NS.ours, address.theirs] : [NS.theirs, address.ours];
        await eventually(
          "GRE passes",
          async () => (await ping(from, to, { count: 2, waitMs: 1_000 })).received === 2 || undefined,
        );
        const { ours, child } = await lab.pair.both(t);
        expect(ours.initiator).toBe(by === "ours");
        expect(child.ours.local.map((r) => r.protocol)).toEqual([47]);
        expect(child.theirs.localTs[0]).toMatch(/ 47$/);
        expect(await ping(NS.ours, address.theirs, { count: 20 })).toMatchObject({ sent: 20, received: 20 });
        expect(await cameInClear()).toBe(0);
      },
      120_000,
    );
  }
});
