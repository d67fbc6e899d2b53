import { once } from "node:events";
import path from "node:path";
import type { LastError } from "@sallyport/ike";
import type { ConnectionIntent } from "@sallyport/intent";
import { eventually, logged, spawnIn } from "@sallyport/testkit";
import { againstLibreswan } from "./daemons.js";
import type { TunnelCase } from "./lab.js";
import {
  type LibreswanCase,
  libreswanCable,
  libreswanCase,
  libreswanSetup,
  logOf,
  proposalOf,
  type Settings,
} from "./libreswan-lab.js";
import { STARTED_BY, scenario } from "./scenario.js";

const NS = { ours: "sp-lnego-ours", theirs: "sp-lnego-theirs" };

const CBC = ["aes256-sha256-x25519"];
const MANY = ["aes256-sha256-x25519-ecp256"];
const ONE = ["aes256-sha256-ecp256"];
const ike = ([proposal = ""]: readonly string[]): Settings => ({ ike: proposalOf(proposal, "ike") });
const T = {
  weGuessWrong: libreswanCase(1, "we-guess-wrong", { tunnel: { ike: MANY }, settings: ike(ONE) }),
  theyGuessWrong: libreswanCase(2, "they-guess-wrong", { tunnel: { ike: ONE }, settings: ike(MANY) }),
  cookieForUs: libreswanCase(3, "cookie-for-us"),
  cookieForThem: libreswanCase(4, "cookie-for-them"),
  cookieAndGroupForUs: libreswanCase(5, "cookie-and-group-for-us", { tunnel: { ike: MANY }, settings: ike(ONE) }),
  cookieAndGroupForThem: libreswanCase(6, "cookie-and-group-for-them", { tunnel: { ike: ONE }, settings: ike(MANY) }),
};

const REFUSALS = [
  {
    it: libreswanCase(7, "ike-proposal", { tunnel: { ike: CBC }, settings: { ike: "aes128-sha2_512-dh20" } }),
    notify: "NO_PROPOSAL_CHOSEN",
    ours: /AES_CBC_256.*CURVE25519/,
    theirs: /AES_CBC_128.*ECP_?384/,
  },
  {
    it: libreswanCase(8, "esp-proposal", { tunnel: { ike: CBC }, settings: { esp: "aes128-sha2_256" } }),
    notify: "NO_PROPOSAL_CHOSEN",
    ours: /AES_GCM_16_256/,
    theirs: /AES_CBC_128/,
  },
  {
    it: libreswanCase(9, "selectors", { tunnel: { ike: CBC }, settings: { rightsubnet: "10.77.0.0/24" } }),
    notify: "TS_UNACCEPTABLE",
    ours: /10\.1\.\d+\.0/,
    theirs: /10\.77\.0\.0/,
  },
  {
    it: libreswanCase(10, "wrong-key", { tunnel: { ike: CBC }, theirPsk: "what they know instead" }),
    notify: "AUTHENTICATION_FAILED",
    ours: /psk|pre-shared/i,
    theirs: /theirs\d+\.test|psk|pre-shared/i,
  },
] as const;

const CASES = [...Object.values(T), ...REFUSALS.map((r) => r.it)];
const ANYBODY: ConnectionIntent = {
  ...libreswanCase(11, "anybody", { tunnel: { ike: CBC } }).connection,
  role: "responder",
  remote: { ports: { ike: 500, natt: 4500 } },
};
/** Callers that never go on; an engine bounds what one address may hold open. */
const STRANGERS = Array.from({ length: 10 }, (_, n) => `192.0.2.${101 + n}`);

const topology = libreswanCable(NS, CASES, { cable: { theirs: STRANGERS.map((a) => `${a}/24`) } });
const lab = againstLibreswan(NS, topology).forFile(() => {
  const { peer, agent } = libreswanSetup(CASES, { setup: { uniqueids: "no" } });
  const connections = [...agent.intent.connections, ANYBODY];
  return { peer, agent: { intent: { ...agent.intent, connections } } };
});

async function strangersCall(perSource: number) {
  const script = path.join(import.meta.dirname, "half-open-main.ts");
  const args = [script, "192.0.2.1", String(perSource), ...STRANGERS];
  const [code] = await once(spawnIn(NS.theirs, process.execPath, args, { stdio: "inherit" }), "exit");
  expect(code).toBe(0);
}

async function works({ tunnel: t }: LibreswanCase) {
  const ends = await lab.pair.both(t);
  expect(ends.theirs.suite).toContain(t.ike === MANY || t.ike === ONE ? "DH19" : "DH31");
  expect(await lab.pair.ping(t, 5)).toMatchObject({ sent: 5, received: 5 });
  return ends;
}

describe("INVALID_KE_PAYLOAD, libreswan", () => {
  for (const [c, by] of [
    [T.weGuessWrong, "ours"],
    [T.theyGuessWrong, "theirs"],
  ] as const) {
    const title = `changes to the group that the responder asks for, started by ${by}`;
    scenario(
      { proves: 13, peer: "libreswan", role: STARTED_BY[by] },
      title,
      async () => {
        await lab.pair.up(c.tunnel, by);
        await works(c);
        expect(await logOf(lab, c.tunnel)).toMatch(/INVALID_KE_PAYLOAD/);
      },
      120_000,
    );
  }
});

describe("COOKIE, libreswan", () => {
  scenario(
    { proves: 13, peer: "libreswan", role: "initiator" },
    "returns the cookie of a responder under load, also together with another group",
    async () => {
      await lab.peer.whack(["--ddos-busy"]);
      for (const c of [T.cookieForUs, T.cookieAndGroupForUs]) {
        await lab.pair.up(c.tunnel, "ours");
        await works(c);
      }
      await logged(lab.peer, /cookie/i);
      await lab.peer.whack(["--ddos-auto"]);
    },
    120_000,
  );

  scenario(
    { proves: 13, peer: "libreswan", role: "responder" },
    "demands cookies under load and still lets honest callers in",
    async () => {
      await strangersCall(60);
      await eventually("the agent sees many half-open SAs", async () =>
        (await lab.agent.status()).halfOpen >= 256 ? true : undefined,
      );
      for (const c of [T.cookieForThem, T.cookieAndGroupForThem]) {
        await lab.pair.up(c.tunnel, "theirs");
        await works(c);
        expect(await logOf(lab, c.tunnel)).toMatch(/COOKIE/);
      }
    },
    120_000,
  );
});

/** What we log of a request from a tunnel's address that we refuse; where several connections were in question it is no one's error. */
async function refusalOf(t: TunnelCase): Promise<{ readonly ours?: string; readonly theirs?: string }> {
  return eventually(`we log why ${t.id} is refused`, async () => {
    const lines = (await lab.agent.log())
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    return lines.findLast((line) => line.remote?.startsWith(`${t.theirs.address}:`) && line.theirs !== undefined);
  });
}
/** The error of a connection that we started, its own or its child's. */
async function errorOf(id: string): Promise<LastError> {
  return eventually(`${id} says what went wrong`, async () => {
    const { lastError, childErrors } = await lab.agent.peer(id);
    const found = Object.values(childErrors)[0] ?? lastError;
    return found?.message.includes("the peer answered") ? found : undefined;
  });
}

describe.each(REFUSALS)("refused, libreswan: $it.tunnel.id", ({ it: { tunnel: t }, notify, ours, theirs }) => {
  scenario(
    { proves: 14, peer: "libreswan", role: "responder" },
    "is refused to a caller with the right notification, and we say both sides' values",
    async () => {
      await lab.peer.whack(["--name", `${t.id}-net`, "--initiate", "--asynchronous"]);
      await eventually(`libreswan reads ${notify}`, async () => (await logOf(lab, t)).includes(notify) || undefined);
      await lab.peer.terminate({ ike: t.id });
      const error = await refusalOf(t);
      expect(error.ours).toMatch(ours);
      expect(error.theirs).toMatch(theirs);
    },
    120_000,
  );

  scenario(
    { proves: 14, peer: "libreswan", role: "initiator" },
    "is named when we call and are refused",
    async () => {
      await lab.agent.ask("down", { tunnel: t.id });
      const logged = (await logOf(lab, t)).length;
      await lab.agent.ask("up", { tunnel: t.id, child: `${t.id}-net` }).catch(() => undefined);
      const error = await errorOf(t.id);
      await eventually(
        "libreswan says so",
        async () => (await logOf(lab, t)).slice(logged).includes(notify) || undefined,
      );
      expect(error.theirs).not.toBe("");
      expect(error.ours).toMatch(ours);
      await lab.agent.ask("down", { tunnel: t.id });
    },
    120_000,
  );
});
