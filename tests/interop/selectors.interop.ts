import type { PolicyIntent } from "@sallyport/intent";
import { PolicyLab, policyCase } from "./policy-lab.js";
import { STARTED_BY, scenario } from "./scenario.js";

const T = {
  icmp: policyCase(10, "icmp-only", {
    child: { localSubnets: ["10.1.10.0/24[icmp]"], remoteSubnets: ["10.2.10.0/24[icmp]"] },
    theirChild: { localTs: ["10.2.10.0/24[icmp]"], remoteTs: ["10.1.10.0/24[icmp]"] },
  }),
  ports: policyCase(11, "one-port", {
    child: { localSubnets: ["10.1.11.0/24[tcp]"], remoteSubnets: ["10.2.11.0/24[tcp/8080]"] },
    theirChild: { localTs: ["10.2.11.0/24[tcp/8080]"], remoteTs: ["10.1.11.0/24[tcp]"] },
  }),
  shunted: policyCase(12, "shunted"),
};
const lab = new PolicyLab("selectors", T, {
  // strongSwan leaves it to others to route what only one protocol or port may use.
  cable: { routes: { theirs: [{ to: "10.1.0.0/16", via: "192.0.2.1" }] } },
  // A kernel sends in clear what fits no tunnel, unless it is told otherwise.
  policies: [
    { action: "encrypt" },
    { action: "discard", id: "rest", name: "rest", local: ["10.1.0.0/16"], remote: ["10.2.0.0/16"] },
  ],
});

describe.each(["ours", "theirs"] as const)("selectors, started by %s", (by) => {
  scenario(
    { proves: 31, role: STARTED_BY[by] },
    `one protocol only, started by ${by}`,
    async () => {
      await lab.pair.up(T.icmp, by);
      const { child } = await lab.pair.both(T.icmp);
      expect([child.theirs.localTs, child.theirs.remoteTs]).toEqual([["10.2.10.0/24[icmp]"], ["10.1.10.0/24[icmp]"]]);
      expect(await lab.pair.ping(T.icmp)).toMatchObject({ lossPct: 0 });
      expect(await lab.answers(T.icmp, 8080)).toBe(false);
      await lab.agent.ask("down", { tunnel: T.icmp.id });
      await lab.pair.gone(T.icmp);
    },
    120_000,
  );

  scenario(
    { proves: 31, role: STARTED_BY[by] },
    `one port only, started by ${by}`,
    async () => {
      await lab.pair.up(T.ports, by);
      const { child } = await lab.pair.both(T.ports);
      expect(child.theirs.localTs).toEqual(["10.2.11.0/24[tcp/http-alt]"]);
      expect(await lab.answers(T.ports, 8080)).toBe(true);
      expect(await lab.answers(T.ports, 8081)).toBe(false);
      expect(await lab.pair.ping(T.ports, 3, { waitMs: 1_000 })).toMatchObject({ received: 0 });
      await lab.agent.ask("down", { tunnel: T.ports.id });
      await lab.pair.gone(T.ports);
    },
    120_000,
  );
});

describe("shunts", () => {
  const shunt = (action: "discard" | "none", remote: string): PolicyIntent => {
    return { action, id: "shunt", name: "shunt", local: [T.shunted.ours.subnet], remote: [remote] };
  };

  scenario(
    { proves: 31 },
    "a drop shunt before the tunnel stops what it names, behind it nothing; the SAs stay",
    async () => {
      await lab.pair.up(T.shunted, "ours");
      const before = await lab.pair.both(T.shunted);
      const spis = async () => {
        const { child } = await lab.pair.both(T.shunted);
        return [child.ours.spiIn, child.ours.spiOut];
      };
      expect(await lab.pair.ping(T.shunted)).toMatchObject({ lossPct: 0 });
      const drop = shunt("discard", "10.2.12.0/24[icmp]");
      await lab.agent.change({ intent: lab.intent(undefined, [drop, { action: "encrypt" }]) });
      expect(await lab.pair.ping(T.shunted, 5, { waitMs: 1_000 })).toMatchObject({ received: 0 });
      expect(await lab.answers(T.shunted, 8080)).toBe(true);
      await lab.agent.change({ intent: lab.intent(undefined, [{ action: "encrypt" }, drop]) });
      // The narrower one would have stopped it, were it not for the order.
      expect(await lab.pair.ping(T.shunted)).toMatchObject({ lossPct: 0 });
      await lab.agent.change({ intent: lab.intent() });
      expect(await spis()).toEqual([before.child.ours.spiIn, before.child.ours.spiOut]);
    },
    120_000,
  );
});
