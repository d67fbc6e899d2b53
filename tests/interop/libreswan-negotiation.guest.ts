import { once } from "node:events";
import path from "node:path";
import type { LastError } from "@sallyport/ike";
import type { ConnectionIntent } from "@sallyport/intent";
import {
  Agent,
  eventually,
  type Libreswan,
  layOut,
  remove,
  spawnIn,
  startAgent,
  startLibreswan,
  type Topology,
} from "@sallyport/testkit";
import { connectionIntent, gatewayIntent, Pair, type TunnelCase } from "./lab.js";
import { type LibreswanSa, libreswanConnection, proposalOf, type Settings, secretOf } from "./libreswan-lab.js";
import { STARTED_BY, scenario } from "./scenario.js";

const NS = { ours: "sp-lnego-ours", theirs: "sp-lnego-theirs" };

type Differences = Partial<Pick<TunnelCase, "ike" | "esp">> & {
  readonly theirs?: Settings;
  readonly theirPsk?: string;
};
interface Case extends TunnelCase {
  readonly settings: Settings;
  readonly theirPsk: string;
}
let next = 1;
const tunnel = (id: string, { theirs, theirPsk, ...differences }: Differences = {}): Case => {
  const n = next++;
  return {
    id,
    auth: "psk",
    psk: `what we know of case ${n}`,
    theirPsk: theirPsk ?? `what we know of case ${n}`,
    ours: { name: "ours.test", address: "192.0.2.1", subnet: `10.1.${n}.0/24`, host: `10.1.${n}.1` },
    theirs: { name: `theirs${n}.test`, address: `192.0.2.${10 + n}`, subnet: `10.2.${n}.0/24`, host: `10.2.${n}.1` },
    ike: ["aes256-sha256-x25519"],
    esp: ["aes256gcm16"],
    ...differences,
    settings: theirs ?? {},
  };
};

const MANY = ["aes256-sha256-x25519-ecp256"];
const ONE = ["aes256-sha256-ecp256"];
const ike = ([proposal = ""]: readonly string[]): Settings => ({ ike: proposalOf(proposal, "ike") });
const T = {
  weGuessWrong: tunnel("we-guess-wrong", { ike: MANY, theirs: ike(ONE) }),
  theyGuessWrong: tunnel("they-guess-wrong", { ike: ONE, theirs: ike(MANY) }),
  cookieForUs: tunnel("cookie-for-us"),
  cookieForThem: tunnel("cookie-for-them"),
  cookieAndGroupForUs: tunnel("cookie-and-group-for-us", { ike: MANY, theirs: ike(ONE) }),
  cookieAndGroupForThem: tunnel("cookie-and-group-for-them", { ike: ONE, theirs: ike(MANY) }),
};

const REFUSALS = [
  {
    tunnel: tunnel("ike-proposal", { theirs: { ike: "aes128-sha2_512-dh20" } }),
    notify: "NO_PROPOSAL_CHOSEN",
    ours: /AES_CBC_256.*CURVE25519/,
    theirs: /AES_CBC_128.*ECP_?384/,
  },
  {
    tunnel: tunnel("esp-proposal", { theirs: { esp: "aes128-sha2_256" } }),
    notify: "NO_PROPOSAL_CHOSEN",
    ours: /AES_GCM_16_256/,
    theirs: /AES_CBC_128/,
  },
  {
    tunnel: tunnel("selectors", { theirs: { rightsubnet: "10.77.0.0/24" } }),
    notify: "TS_UNACCEPTABLE",
    ours: /10\.1\.\d+\.0/,
    theirs: /10\.77\.0\.0/,
  },
  {
    tunnel: tunnel("wrong-key", { theirPsk: "what they know instead" }),
    notify: "AUTHENTICATION_FAILED",
    ours: /psk|pre-shared/i,
    theirs: /theirs\d+\.test|psk|pre-shared/i,
  },
] as const;

const TUNNELS = [...Object.values(T), ...REFUSALS.map((r) => r.tunnel)];
const ANYBODY: ConnectionIntent = {
  ...connectionIntent(tunnel("anybody")),
  role: "responder",
  remote: { ports: { ike: 500, natt: 4500 } },
};
/** Callers that never go on; an engine bounds what one address may hold open. */
const STRANGERS = Array.from({ length: 10 }, (_, n) => `192.0.2.${101 + n}`);

const TOPOLOGY: Topology = {
  namespaces: [
    { name: NS.ours, loopback: TUNNELS.map((t) => `${t.ours.host}/32`) },
    {
      name: NS.theirs,
      loopback: TUNNELS.map((t) => `${t.theirs.host}/32`),
      routes: [{ to: "10.1.0.0/16", via: "192.0.2.1" }],
    },
  ],
  cables: [
    [
      { namespace: NS.ours, device: "wan", addresses: ["192.0.2.1/24"] },
      {
        namespace: NS.theirs,
        device: "wan",
        addresses: [...TUNNELS.map((t) => t.theirs.address), ...STRANGERS].map((a) => `${a}/24`),
      },
    ],
  ],
};

let agent: Agent;
let peer: Libreswan;
const pair = () => new Pair<LibreswanSa>(agent, peer, NS);

beforeAll(async () => {
  await remove(TOPOLOGY);
  await layOut(TOPOLOGY);
  peer = await startLibreswan({
    namespace: NS.theirs,
    secrets: TUNNELS.map((t) => secretOf({ ...t, psk: t.theirPsk })),
    connections: TUNNELS.map((t) => libreswanConnection(t, t.settings)),
    setup: { uniqueids: "no" },
  });
  const intent = gatewayIntent("ours.test", TUNNELS);
  agent = await startAgent({
    namespace: NS.ours,
    dataPlane: "kernel",
    intent: { ...intent, connections: [...intent.connections, ANYBODY] },
  });
}, 90_000);
afterAll(async () => {
  await Promise.all([peer?.stop(), agent?.stop()]);
  await remove(TOPOLOGY);
}, 30_000);

async function strangersCall(perSource: number) {
  const script = path.join(import.meta.dirname, "half-open-main.ts");
  const args = [script, "192.0.2.1", String(perSource), ...STRANGERS];
  const [code] = await once(spawnIn(NS.theirs, process.execPath, args, { stdio: "inherit" }), "exit");
  expect(code).toBe(0);
}

async function works(t: TunnelCase) {
  const ends = await pair().both(t);
  expect(ends.theirs.suite).toContain(t.ike === MANY || t.ike === ONE ? "DH19" : "DH31");
  expect(await pair().ping(t, 5)).toMatchObject({ sent: 5, received: 5 });
  return ends;
}
/** What libreswan has logged of a tunnel. */
const logOf = async (t: TunnelCase) =>
  (await peer.log(Number.POSITIVE_INFINITY))
    .split("\n")
    .filter((line) => line.includes(`"${t.id}-net"`))
    .join("\n");

describe("INVALID_KE_PAYLOAD, libreswan", () => {
  for (const [t, by] of [
    [T.weGuessWrong, "ours"],
    [T.theyGuessWrong, "theirs"],
  ] as const) {
    const title = `changes to the group that the responder asks for, started by ${by}`;
    scenario(
      { proves: 13, peer: "libreswan", role: STARTED_BY[by] },
      title,
      async () => {
        await pair().up(t, by);
        await works(t);
        expect(await logOf(t)).toMatch(/INVALID_KE_PAYLOAD/);
      },
      30_000,
    );
  }
});

describe("COOKIE, libreswan", () => {
  scenario(
    { proves: 13, peer: "libreswan", role: "initiator" },
    "returns the cookie of a responder under load, also together with another group",
    async () => {
      await peer.whack(["--ddos-busy"]);
      for (const t of [T.cookieForUs, T.cookieAndGroupForUs]) {
        await pair().up(t, "ours");
        await works(t);
      }
      expect(await peer.log(200)).toMatch(/cookie/i);
      await peer.whack(["--ddos-auto"]);
    },
    40_000,
  );

  scenario(
    { proves: 13, peer: "libreswan", role: "responder" },
    "demands cookies under load and still lets honest callers in",
    async () => {
      await strangersCall(60);
      await eventually("the agent sees many half-open SAs", async () =>
        (await agent.status()).halfOpen >= 256 ? true : undefined,
      );
      for (const t of [T.cookieForThem, T.cookieAndGroupForThem]) {
        await pair().up(t, "theirs");
        await works(t);
        expect(await logOf(t)).toMatch(/COOKIE/);
      }
    },
    40_000,
  );
});

/** What we log of a request from a tunnel's address that we refuse; where several connections were in question it is no one's error. */
async function refusalOf(t: TunnelCase): Promise<{ readonly ours?: string; readonly theirs?: string }> {
  return eventually(`we log why ${t.id} is refused`, async () => {
    const lines = (await agent.log(400)).split("\n").map((line) => JSON.parse(line));
    return lines.findLast((line) => line.remote?.startsWith(`${t.theirs.address}:`) && line.theirs !== undefined);
  });
}
/** The error of a connection that we started, its own or its child's. */
async function errorOf(id: string): Promise<LastError> {
  return eventually(`${id} says what went wrong`, async () => {
    const { lastError, childErrors } = await agent.peer(id);
    const found = Object.values(childErrors)[0] ?? lastError;
    return found?.message.includes("the peer answered") ? found : undefined;
  });
}

describe.each(REFUSALS)("refused, libreswan: $tunnel.id", ({ tunnel: t, notify, ours, theirs }) => {
  scenario(
    { proves: 14, peer: "libreswan", role: "responder" },
    "is refused to a caller with the right notification, and we say both sides' values",
    async () => {
      await peer.whack(["--name", `${t.id}-net`, "--initiate", "--asynchronous"]);
      await eventually(`libreswan reads ${notify}`, async () => (await logOf(t)).includes(notify) || undefined);
      await peer.terminate({ ike: t.id });
      const error = await refusalOf(t);
      expect(error.ours).toMatch(ours);
      expect(error.theirs).toMatch(theirs);
    },
    20_000,
  );

  scenario(
    { proves: 14, peer: "libreswan", role: "initiator" },
    "is named when we call and are refused",
    async () => {
      await agent.ask("down", { tunnel: t.id });
      const logged = (await logOf(t)).length;
      await agent.ask("up", { tunnel: t.id, child: `${t.id}-net` }).catch(() => undefined);
      const error = await errorOf(t.id);
      await eventually("libreswan says so", async () => (await logOf(t)).slice(logged).includes(notify) || undefined);
      expect(error.theirs).not.toBe("");
      expect(error.ours).toMatch(ours);
      await agent.ask("down", { tunnel: t.id });
    },
    20_000,
  );
});
