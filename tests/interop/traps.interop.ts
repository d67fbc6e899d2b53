import { logged } from "@sallyport/testkit";
import { PolicyLab, policyCase } from "./policy-lab.js";
import { STARTED_BY, scenario } from "./scenario.js";

const T = {
  trap: policyCase(5, "trap", { child: { startAction: "trap" } }),
  wideHere: policyCase(6, "wide-here", { child: { remoteSubnets: ["10.2.6.0/23"] } }),
  wideThere: policyCase(8, "wide-there", { theirChild: { localTs: ["10.2.8.0/23"], remoteTs: ["10.1.8.0/23"] } }),
};
const lab = new PolicyLab("traps", T);

describe("a trap", () => {
  scenario(
    { proves: 9, role: "initiator" },
    "lets the first packet start the negotiation",
    async () => {
      expect((await lab.agent.peer(T.trap.id)).sas).toEqual([]);
      expect(await lab.policyOf(T.trap)).toMatchObject([{ active: true, sas: 0 }]);
      await lab.pair.ping(T.trap, 20, { waitMs: 0 });
      const { ours, child } = await lab.pair.both(T.trap);
      expect(ours.initiator).toBe(true);
      expect(child.theirs.remoteTs).toEqual([T.trap.ours.subnet]);
      expect(await lab.pair.ping(T.trap)).toMatchObject({ lossPct: 0 });
      await logged(lab.peer, /10\.1\.5\.1\/32\[icmp\/8/);
      expect(await lab.policyOf(T.trap)).toMatchObject([{ active: true, sas: 1, state: "established" }]);
    },
    120_000,
  );
});

describe.each(["ours", "theirs"] as const)("narrowing, started by %s", (by) => {
  scenario(
    { proves: 9, role: STARTED_BY[by] },
    `what one end allows is what both use, started by ${by}`,
    async () => {
      await lab.pair.up(T.wideHere, by);
      await lab.pair.up(T.wideThere, by);
      const here = await lab.pair.both(T.wideHere);
      const there = await lab.pair.both(T.wideThere);
      expect([here.child.theirs.localTs, here.child.theirs.remoteTs]).toEqual([["10.2.6.0/24"], ["10.1.6.0/24"]]);
      expect([there.child.theirs.localTs, there.child.theirs.remoteTs]).toEqual([["10.2.8.0/24"], ["10.1.8.0/24"]]);
      expect(await lab.pair.ping(T.wideHere)).toMatchObject({ lossPct: 0 });
      expect(await lab.pair.ping(T.wideThere)).toMatchObject({ lossPct: 0 });
      if (by === "ours") expect((await lab.policyOf(T.wideHere)).map((p) => p.dynamic)).toEqual([true, false]);
      for (const t of [T.wideHere, T.wideThere]) {
        await lab.agent.ask("down", { tunnel: t.id });
        await lab.pair.gone(t);
      }
    },
    120_000,
  );
});
