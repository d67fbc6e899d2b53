import { once } from "node:events";
import { eventually, spawnIn } from "@sallyport/testkit";
import { type Case, PolicyLab, policyCase } from "./policy-lab.js";
import { scenario } from "./scenario.js";

/** Found dead after about a second and a half of silence. */
const MORTAL = {
  dpd: { intervalSeconds: 1 },
  retransmission: { initialMilliseconds: 200, backoff: 1, longestMilliseconds: 200, tries: 3 },
} as const;

const T = {
  // First: the address of a device that others depend on must not go.
  steady: policyCase(1, "steady"),
  clear: policyCase(2, "dpd-clear", { mine: MORTAL, child: { dpdAction: "clear" } }),
  restart: policyCase(3, "dpd-restart", { mine: MORTAL, child: { startAction: "start", dpdAction: "restart" } }),
  hold: policyCase(4, "dpd-hold", { mine: MORTAL, child: { dpdAction: "trap" } }),
  crash: policyCase(5, "they-restart", {
    peer: { dpdSeconds: 1, keyingTries: 0 },
    theirChild: { dpdAction: "restart" },
  }),
};
const lab = new PolicyLab("dead", T);

async function ip(...args: string[]): Promise<void> {
  const [code] = await once(spawnIn(lab.ends.theirs, "ip", args), "exit");
  if (code !== 0) throw new Error(`ip ${args.join(" ")} ended with ${code}`);
}

/** The peer is not there for a while. */
const vanish = (t: Case) => ip("addr", "del", `${t.theirs.address}/24`, "dev", "wan");
const comeBack = (t: Case) => ip("addr", "add", `${t.theirs.address}/24`, "dev", "wan");

describe("a dead peer", () => {
  scenario(
    { proves: 6, role: "initiator" },
    "clear: is forgotten, policies and all",
    async () => {
      await lab.pair.up(T.clear, "ours");
      await lab.pair.both(T.clear);
      await vanish(T.clear);
      await lab.foundDead(T.clear);
      expect(await lab.policyOf(T.clear)).toMatchObject([{ active: false, sas: 0 }]);
      await comeBack(T.clear);
      expect(await lab.pair.ping(T.clear, 5, { waitMs: 1_000 })).toMatchObject({ received: 0 });
      expect((await lab.agent.peer(T.clear.id)).sas).toEqual([]);
    },
    120_000,
  );

  scenario(
    { proves: 6, role: "initiator" },
    "restart: is called until it answers",
    async () => {
      await lab.pair.both(T.restart);
      await vanish(T.restart);
      await lab.foundDead(T.restart);
      expect((await lab.agent.peer(T.restart.id)).lastError?.code).toBe("ike/no-response");
      await comeBack(T.restart);
      await lab.pair.both(T.restart);
      expect(await lab.pair.ping(T.restart)).toMatchObject({ lossPct: 0 });
    },
    120_000,
  );

  scenario(
    { proves: 6, role: "initiator" },
    "hold: is called when a packet is for it, and nothing leaves in clear meanwhile",
    async () => {
      await lab.pair.up(T.hold, "ours");
      await lab.pair.both(T.hold);
      await vanish(T.hold);
      await lab.foundDead(T.hold);
      expect(await lab.policyOf(T.hold)).toMatchObject([{ active: true, sas: 0, state: "no-phase2" }]);
      await comeBack(T.hold);
      await lab.pair.ping(T.hold, 20, { waitMs: 0 });
      await lab.pair.both(T.hold);
      expect(await lab.pair.ping(T.hold)).toMatchObject({ lossPct: 0 });
    },
    120_000,
  );

  scenario(
    { proves: 6, role: "responder" },
    "that finds us dead and calls again is answered",
    async () => {
      await lab.pair.up(T.crash, "theirs");
      await lab.pair.both(T.crash);
      await lab.agent.kill();
      await eventually("strongSwan calls again", async () => {
        const sas = await lab.peer.listSas(T.crash.id);
        return (sas.length > 0 && sas.every((sa) => sa.state === "CONNECTING")) || undefined;
      });
      await lab.agent.restart();
      const { ours } = await lab.pair.both(T.crash);
      expect(ours.initiator).toBe(false);
      expect(await lab.pair.ping(T.crash)).toMatchObject({ lossPct: 0 });
    },
    120_000,
  );
});
