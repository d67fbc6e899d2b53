import { once } from "node:events";
import path from "node:path";
import type { ConnectionIntent } from "@sallyport/intent";
import { eventually, logged, markLogs, spawnIn } from "@sallyport/testkit";
import { cableTopology, cableTunnel } from "./cable.js";
import { againstStrongswan } from "./daemons.js";
import { connectionIntent, gatewayIntent, peerConnection, type TunnelCase } from "./lab.js";
import { STARTED_BY, scenario } from "./scenario.js";

const NS = { ours: "sp-nego-ours", theirs: "sp-nego-theirs" };
const MANY = ["aes256-sha256-x25519-ecp256"];
const ONE = ["aes256-sha256-ecp256"];
const T = {
  weGuessWrong: cableTunnel(1, "we-guess-wrong", { ike: MANY, peer: { proposals: ONE } }),
  theyGuessWrong: cableTunnel(2, "they-guess-wrong", { ike: ONE, peer: { proposals: MANY } }),
  weGuessPfsWrong: cableTunnel(3, "we-guess-pfs-wrong", {
    esp: ["aes256gcm16-x25519-ecp256"],
    peer: { esp: ["aes256gcm16-ecp256"] },
  }),
  theyGuessPfsWrong: cableTunnel(4, "they-guess-pfs-wrong", {
    esp: ["aes256gcm16-ecp256"],
    peer: { esp: ["aes256gcm16-x25519-ecp256"] },
  }),
  // Strangers get as far as a half-open SA only where anybody may call.
  cookieForUs: cableTunnel(5, "cookie-for-us", { peer: { remoteAddress: "%any" } }),
  cookieForThem: cableTunnel(6, "cookie-for-them", {}),
  cookieAndGroupForUs: cableTunnel(7, "cookie-and-group-for-us", { ike: MANY, peer: { proposals: ONE } }),
  cookieAndGroupForThem: cableTunnel(8, "cookie-and-group-for-them", { ike: ONE, peer: { proposals: MANY } }),
};
const TUNNELS = Object.values(T);
const ANYBODY: ConnectionIntent = {
  ...connectionIntent(cableTunnel(9, "anybody", {})),
  role: "responder",
  remote: { ports: { ike: 500, natt: 4500 } },
};
/** Callers that never go on; an engine bounds what one address may hold open. */
const STRANGERS = Array.from({ length: 10 }, (_, n) => `192.0.2.${101 + n}`);
const OUR_STRANGERS = ["192.0.2.3", "192.0.2.4"];

const topology = cableTopology(NS, TUNNELS, {
  cable: { ours: OUR_STRANGERS.map((a) => `${a}/24`), theirs: STRANGERS.map((a) => `${a}/24`) },
});
const lab = againstStrongswan(NS, topology).forFile(() => {
  const intent = gatewayIntent("ours.test", TUNNELS);
  return {
    peer: {
      secrets: TUNNELS.map((t) => ({ owners: [t.theirs.name], secret: t.psk ?? "" })),
      connections: TUNNELS.map((t) => peerConnection(t)),
      settings: { cookie_threshold: "3", block_threshold: "0" },
    },
    agent: { intent: { ...intent, connections: [...intent.connections, ANYBODY] } },
  };
});

async function strangersCall(from: string, sources: readonly string[], target: string, perSource: number) {
  const script = path.join(import.meta.dirname, "half-open-main.ts");
  const child = spawnIn(from, process.execPath, [script, target, String(perSource), ...sources], { stdio: "inherit" });
  const [code] = await once(child, "exit");
  expect(code).toBe(0);
}

async function works(t: TunnelCase) {
  const ends = await lab.pair.both(t);
  expect(ends.theirs.suite).toContain(t.ike === MANY || t.ike === ONE ? "ECP_256" : "CURVE_25519");
  expect(await lab.pair.ping(t, 10)).toMatchObject({ sent: 10, received: 10 });
  return ends;
}

describe("INVALID_KE_PAYLOAD", () => {
  scenario(
    { proves: 13, role: "initiator" },
    "follows the group that the responder asks for",
    async () => {
      await lab.pair.up(T.weGuessWrong, "ours");
      await works(T.weGuessWrong);
      await logged(lab.peer, /generating IKE_SA_INIT response 0 \[ N\(INVAL_KE\) \]/);
    },
    120_000,
  );

  scenario(
    { proves: 13, role: "responder" },
    "asks an initiator for a group that it can accept",
    async () => {
      await lab.pair.up(T.theyGuessWrong, "theirs");
      await works(T.theyGuessWrong);
      await logged(lab.peer, /parsed IKE_SA_INIT response 0 \[ N\(INVAL_KE\) \]/);
    },
    120_000,
  );

  for (const [t, by] of [
    [T.weGuessPfsWrong, "ours"],
    [T.theyGuessPfsWrong, "theirs"],
  ] as const) {
    const title = `repeats the rekey of a CHILD SA with another group, started by ${by}`;
    scenario(
      { proves: [3, 13], role: STARTED_BY[by] },
      title,
      async () => {
        await lab.pair.up(t, by);
        const before = await works(t);
        const traffic = await lab.pair.during(t, async () => {
          await lab.pair.rekey(t, "child", by);
          const after = await lab.pair.settled(t, (ends) => ends.child.theirs.spiIn !== before.child.theirs.spiIn);
          expect(after.child.theirs.suite).toBe("AES_GCM_16-256/ECP_256");
        });
        expect(traffic.lossPct).toBe(0);
        await logged(lab.peer, /CREATE_CHILD_SA response \d+ \[ N\(INVAL_KE\) \]/);
      },
      120_000,
    );
  }
});

describe("COOKIE", () => {
  scenario(
    { proves: 13, role: "initiator" },
    "returns the cookie of a responder under load, also together with another group",
    async () => {
      await strangersCall(NS.ours, OUR_STRANGERS, T.cookieForUs.theirs.address, 4);
      for (const t of [T.cookieForUs, T.cookieAndGroupForUs]) {
        await markLogs();
        await lab.pair.up(t, "ours");
        await works(t);
        await logged(lab.peer, /generating IKE_SA_INIT response 0 \[ N\(COOKIE\) \]/);
      }
    },
    120_000,
  );

  scenario(
    { proves: 13, role: "responder" },
    "demands cookies under load and still lets honest callers in",
    async () => {
      await strangersCall(NS.theirs, STRANGERS, T.cookieForThem.ours.address, 60);
      await eventually("the agent sees many half-open SAs", async () =>
        (await lab.agent.status()).halfOpen >= 256 ? true : undefined,
      );
      for (const t of [T.cookieForThem, T.cookieAndGroupForThem]) {
        await markLogs();
        await lab.pair.up(t, "theirs");
        await works(t);
        await logged(lab.peer, /parsed IKE_SA_INIT response 0 \[ N\(COOKIE\) \]/);
      }
    },
    120_000,
  );
});
