import type { Agent, PingResult, Strongswan } from "@sallyport/testkit";
import { early } from "./counters.js";
import { Lab } from "./daemons.js";
import { type BothEnds, DATA_PLANE, gatewayIntent, Pair, peerConnection } from "./lab.js";
import {
  ALL,
  CASES,
  type CaseName,
  NAME,
  NS,
  type PeerMode,
  POOL,
  TOPOLOGY,
  tunnelsAt,
} from "./reauthentication-lab.js";
import { scenario } from "./scenario.js";

const daemons = new Lab(TOPOLOGY);
let agent: Agent | undefined;
const peers: Partial<Record<PeerMode, Strongswan>> = {};
/** Those that are authenticated anew by the clock, as they were at first: their time runs while other tests do. */
const first: Partial<Record<CaseName, BothEnds>> = {};

const startPeer = (which: PeerMode) =>
  daemons.strongswan(NS[which], {
    settings: { make_before_break: which === "makes" ? "yes" : "no" },
    secrets: tunnelsAt(which).map((t) => ({ owners: [t.theirs.name], secret: t.psk ?? "" })),
    pools: [POOL],
    connections: tunnelsAt(which).map((t) => peerConnection(t)),
  });

daemons.forFile(async () => {
  const tunnels = ALL.map((c) => c.tunnel);
  const intent = gatewayIntent(NAME, tunnels);
  const more = new Map(ALL.map((c) => [c.tunnel.id, c.ours]));
  const connections = intent.connections.map((c) => ({ ...c, ...more.get(c.id) }));
  [peers.makes, peers.breaks, agent] = await Promise.all([
    startPeer("makes"),
    startPeer("breaks"),
    daemons.agent(NS.ours, { intent: { ...intent, connections } }),
  ]);
  for (const [name, from] of [
    ["asked", "ours"],
    ["asks", "theirs"],
  ] as const) {
    const { tunnel, pair } = lab(name);
    await pair.up(tunnel, from);
    first[name] = await pair.both(tunnel);
  }
});

function lab(name: CaseName) {
  const { tunnel, at } = CASES[name];
  const peer = peers[at];
  if (!agent || !peer) throw new Error("the lab did not start");
  return { tunnel, peer, agent, pair: new Pair(agent, peer, { ours: NS.ours, theirs: NS[at] }) };
}

/** The tunnel as soon as it has other IKE SAs than `before`. */
const anew = (name: CaseName, before: BothEnds | undefined, timeoutMs?: number) => {
  if (!before) throw new Error("it did not come up");
  const { tunnel, pair } = lab(name);
  return pair.settled(tunnel, (now) => now.theirs.uniqueId !== before.theirs.uniqueId, timeoutMs);
};

/**
 * What is lost when this end begins: strongSwan sends on the new CHILD SA before its answer to IKE_AUTH can be read here. Its ESP outside
 * the kernel goes on with the older one as long as that stands.
 */
const tooEarly = () => (agent && DATA_PLANE === "kernel" ? early(agent) : 0);

/** Loses nothing but what comes too early. */
async function losesNothingElse(traffic: () => Promise<PingResult>): Promise<void> {
  const already = await tooEarly();
  const { sent, received, longestGapMs } = await traffic();
  expect(sent - received).toBeLessThanOrEqual((await tooEarly()) - already);
  expect(longestGapMs).toBeLessThan(300);
}

describe("reauthentication", () => {
  scenario(
    { proves: 22, role: "initiator" },
    "make before break, begun by us, loses no packet but those that outrun the answer",
    async () => {
      const { tunnel, pair } = lab("make");
      await pair.up(tunnel, "ours");
      const before = await pair.both(tunnel);
      await losesNothingElse(() =>
        pair.during(tunnel, async () => {
          const after = await anew("make", before);
          expect(after.child.theirs.spiIn).not.toBe(before.child.theirs.spiIn);
          expect(after.theirs.initiator).toBe(false);
        }),
      );
      await losesNothingElse(() => pair.ping(tunnel, 5));
    },
    120_000,
  );

  scenario(
    { proves: 22, role: "initiator" },
    "break before make, begun by us, comes back at once",
    async () => {
      const { tunnel, pair } = lab("break");
      await pair.up(tunnel, "ours");
      const after = await anew("break", await pair.both(tunnel));
      expect(after.ours.initiator).toBe(true);
      expect((await pair.ping(tunnel, 5)).received).toBe(5);
    },
    120_000,
  );

  scenario(
    { proves: 22, role: "responder" },
    "make before break, begun by strongSwan, loses no packet",
    async () => {
      const { tunnel, pair, peer } = lab("theirs");
      await pair.up(tunnel, "theirs");
      const before = await pair.both(tunnel);
      const traffic = await pair.during(tunnel, async () => {
        await peer.reauthenticate(tunnel.id);
        const after = await anew("theirs", before);
        expect(after.ours.initiator).toBe(false);
        // strongSwan deletes the old one as soon as it has the new one.
        expect((await pair.ping(tunnel, 5)).received).toBe(5);
      });
      expect(traffic.lossPct).toBe(0);
    },
    120_000,
  );

  scenario(
    { proves: 22, role: "responder" },
    "break before make, begun by strongSwan",
    async () => {
      const { tunnel, pair, peer } = lab("breaks");
      await pair.up(tunnel, "theirs");
      const before = await pair.both(tunnel);
      await peer.reauthenticate(tunnel.id);
      await anew("breaks", before);
      expect((await pair.ping(tunnel, 5)).received).toBe(5);
    },
    120_000,
  );

  scenario(
    { proves: 22, role: "responder" },
    "AUTH_LIFETIME of ours: strongSwan authenticates anew before it is over",
    async () => {
      const { tunnel, pair, peer, agent: ours } = lab("asks");
      const after = await anew("asks", first.asks);
      expect(after.ours.initiator).toBe(false);
      expect(await peer.wholeLog()).toMatch(/received AUTH_LIFETIME of [89]s/);
      expect((await ours.peer(tunnel.id)).lastError).toBeUndefined();
      expect((await pair.ping(tunnel, 5)).received).toBe(5);
    },
    120_000,
  );

  scenario(
    { proves: 22, role: "initiator" },
    "AUTH_LIFETIME of strongSwan: we authenticate anew before it is over",
    async () => {
      const { tunnel, pair, peer } = lab("asked");
      const after = await anew("asked", first.asked);
      expect(after.ours.initiator).toBe(true);
      const log = await peer.wholeLog();
      expect(log).toMatch(/generating IKE_AUTH response 1 \[.* N\(AUTH_LFT\) /);
      expect(log).not.toContain("initiator did not reauthenticate");
      await losesNothingElse(() => pair.ping(tunnel, 5));
    },
    120_000,
  );
});
