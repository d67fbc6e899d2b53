import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { eventually, ping } from "@sallyport/testkit";
import { againstLibreswan } from "./daemons.js";
import { GIVES_ADDRESS, libreswanCase, libreswanSetup } from "./libreswan-lab.js";
import { OURS, Roaming, SECOND, THEIRS } from "./moving-lab.js";
import { scenario } from "./scenario.js";

const run = promisify(execFile);
const roaming = new Roaming("sp-lmov");

/** libreswan follows only a caller to whom it gave a virtual address. */
const CASE = libreswanCase(1, "roaming", {
  tunnel: { ours: OURS, theirs: THEIRS },
  connection: (plain) => ({
    role: "initiator",
    dpd: { intervalSeconds: 1 },
    addressRequest: { families: ["ipv4"] },
    children: plain.children.map((child) => ({ ...child, localSubnets: [] })),
  }),
  settings: { ...GIVES_ADDRESS, mobike: "yes" },
});

const lab = againstLibreswan(roaming.ends, roaming.topology).forFile(async () => {
  await roaming.settle();
  return libreswanSetup([CASE]);
});

/** Between which addresses the tunnel runs, as we say and as libreswan's kernel has its SAs; ours first. */
async function ends(): Promise<readonly (readonly string[])[]> {
  const { ours, child } = await lab.pair.both(CASE.tunnel);
  const { stdout } = await run("ip", ["-n", roaming.ends.theirs, "xfrm", "state", "list"]);
  const addressesOf = (spi: number) =>
    new RegExp(`src (\\S+) dst (\\S+)\\s+proto esp spi 0x0*${spi.toString(16)} `).exec(stdout)?.slice(1) ?? [];
  return [
    [String(ours.local.address), String(ours.remote.address)],
    addressesOf(child.theirs.spiIn),
    addressesOf(child.theirs.spiOut).reverse(),
  ];
}
const runsFrom = (ours: string) =>
  eventually(
    `the tunnel runs from ${ours}`,
    async () => {
      const now = JSON.stringify(await ends());
      const way = [ours, THEIRS.address];
      if (now !== JSON.stringify([way, way, way])) throw new Error(now);
      return true;
    },
    20_000,
  );

describe("our end moves, libreswan", () => {
  scenario(
    { proves: 21, peer: "libreswan", role: "initiator" },
    "to another link and back: the same SAs, the same virtual address",
    async () => {
      await lab.pair.up(CASE.tunnel, "ours");
      const before = await lab.pair.both(CASE.tunnel);
      const source = String(before.ours.virtual?.local[0]);
      const passes = () =>
        eventually("traffic passes", async () => {
          return (await ping(roaming.ends.ours, THEIRS.host, { source, count: 5 })).received === 5 || undefined;
        });
      await runsFrom(OURS.address);
      await passes();
      await roaming.address("ours", "del", 0);
      await roaming.routeBy("ours", 1);
      await runsFrom(SECOND.ours);
      await passes();
      await roaming.address("ours", "add", 0);
      await roaming.address("ours", "del", 1);
      await roaming.routeBy("ours", 0);
      await runsFrom(OURS.address);
      await passes();
      const after = await lab.pair.both(CASE.tunnel);
      const sas = ({ ours, child }: typeof after) => [ours.spiInitiator, child.ours.spiIn, child.ours.spiOut];
      expect(sas(after)).toEqual(sas(before));
    },
    90_000,
  );
});
