import { Secret } from "@sallyport/intent";
import { eventually } from "@sallyport/testkit";
import { againstLibreswan } from "./daemons.js";
import { endBy, libreswanCable, libreswanCase, libreswanSetup, logOf } from "./libreswan-lab.js";
import { STARTED_BY, scenario } from "./scenario.js";

const NS = { ours: "sp-lppk-ours", theirs: "sp-lppk-theirs" };
const PPK = "a secret that outlives quantum computers";
const NAME = "the-key";

interface Ppk {
  readonly ours?: { readonly id: string; readonly required: boolean };
  /** `propose`, `insist` or `no`. */
  readonly theirs: string;
  /** Whether libreswan has the key. */
  readonly known?: boolean;
}
const WAYS = {
  mandatory: { ours: { id: NAME, required: true }, theirs: "insist" },
  optional: { ours: { id: NAME, required: false }, theirs: "propose" },
  "without-ours": { theirs: "propose" },
  "without-theirs": { ours: { id: NAME, required: false }, theirs: "no" },
  "of-another-name": { ours: { id: "another", required: false }, theirs: "propose" },
  "we-insist": { ours: { id: NAME, required: true }, theirs: "no" },
  "they-insist": { theirs: "insist" },
  "mandatory-of-another-name": { ours: { id: "another", required: true }, theirs: "insist" },
} as const satisfies Record<string, Ppk>;
type Way = keyof typeof WAYS;

const CASES = Object.entries(WAYS).map(([id, { theirs, ...way }], index) =>
  libreswanCase(index + 1, id, {
    connection: "ours" in way ? { ppk: { ...way.ours, secret: new Secret(PPK) } } : {},
    settings: { ppk: theirs },
  }),
);
const caseOf = (way: Way) => {
  const found = CASES.find((c) => c.tunnel.id === way);
  if (!found) throw new Error(`no case ${way}`);
  return found;
};

const lab = againstLibreswan(NS, libreswanCable(NS, CASES)).forFile(() =>
  libreswanSetup(CASES, {
    secrets: CASES.map(({ tunnel: t }) => `@${t.theirs.name} @${t.ours.name} : PPKS "${NAME}" "${PPK}"`),
  }),
);

describe("post-quantum preshared keys, libreswan", () => {
  for (const by of ["ours", "theirs"] as const) {
    for (const [way, used] of [
      ["mandatory", true],
      ["optional", true],
      ["without-ours", false],
      ["without-theirs", false],
      ["of-another-name", false],
    ] as const) {
      scenario(
        { proves: 37, peer: "libreswan", role: STARTED_BY[by] },
        `${way}: ${used ? "mixed in, and kept in rekeys" : "left out"}, started by ${by}`,
        async () => {
          const { tunnel: t } = caseOf(way);
          await lab.pair.up(t, by);
          const first = await lab.pair.both(t);
          expect(first.ours.ppk).toBe(used ? NAME : undefined);
          const log = await logOf(lab, t);
          expect(/PPK AUTH calculated/.test(log) && !/switching to NO_PPK/.test(log)).toBe(used);
          expect(await lab.pair.ping(t, 5)).toMatchObject({ received: 5 });
          if (used) {
            await lab.pair.rekey(t, "ike", by);
            await lab.pair.settled(t, ({ theirs }) => theirs.uniqueId !== first.theirs.uniqueId);
            await lab.pair.rekey(t, "child", by);
            await lab.pair.settled(t, ({ child }) => child.theirs.spiIn !== first.child.theirs.spiIn);
            expect(await lab.pair.ping(t, 5)).toMatchObject({ received: 5 });
          }
          await endBy(lab, caseOf(way), by);
        },
        120_000,
      );
    }

    for (const [way, refusal] of [
      ["we-insist", { ours: /ignored received PPK_IDENTITY/, theirs: "the peer uses no PPK" }],
      [
        "they-insist",
        {
          ours: /Requested PPK_ID not found and connection requires a valid PPK/,
          theirs: /failed to receive PPK confirmation and connection has ppk=insist/,
        },
      ],
      [
        "mandatory-of-another-name",
        {
          ours: /Requested PPK_ID not found and connection requires a valid PPK/,
          theirs: "the peer names another PPK",
        },
      ],
    ] as const) {
      scenario(
        { proves: 37, peer: "libreswan", role: STARTED_BY[by] },
        `${way}: refused, and who refuses says why, started by ${by}`,
        async () => {
          const { tunnel: t } = caseOf(way);
          const logged = (await logOf(lab, t)).length;
          if (by === "ours") await lab.pair.up(t, by).catch(() => undefined);
          else await lab.peer.whack(["--name", `${t.id}-net`, "--initiate", "--asynchronous"]);
          const says = refusal[by];
          await eventually(`the end that refuses says ${says}`, async () => {
            const { lastError } = await lab.agent.peer(t.id);
            if (typeof says === "string") return lastError?.message === says || undefined;
            return says.test((await logOf(lab, t)).slice(logged)) || undefined;
          });
          // A libreswan that called refuses our answer without telling us.
          const ends = by === "theirs" && typeof says !== "string" ? [] : (await lab.agent.peer(t.id)).sas;
          expect(ends.filter((sa) => sa.state === "established")).toEqual([]);
          expect((await lab.peer.listSas(t.id)).filter((sa) => sa.state === "ESTABLISHED")).toEqual([]);
          await Promise.all([lab.agent.ask("down", { tunnel: t.id }), lab.peer.terminate({ ike: t.id })]);
        },
        120_000,
      );
    }
  }
});
