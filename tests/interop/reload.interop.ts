import type { ConnectionIntent } from "@sallyport/intent";
import { type Credential, createAuthority, logged, type PeerConnection } from "@sallyport/testkit";
import { cableTopology } from "./cable.js";
import { againstStrongswan } from "./daemons.js";
import { connectionIntent, peerConnection, type TunnelCase } from "./lab.js";
import {
  ALICE,
  BOB,
  certified,
  change,
  intentOf,
  known,
  MOVED,
  NEXT_PSK,
  named,
  OURS,
  PSK,
  people,
  person,
  secrets,
  showing,
  spisOf,
  THEIRS,
  tunnel,
  vouchedBy,
  type World,
} from "./reload-lab.js";
import { scenario } from "./scenario.js";
import type { ScenarioNumber } from "./scenarios.js";

const NS = { ours: "sp-change-ours", theirs: "sp-change-theirs" };
interface Change {
  readonly id: string;
  readonly what: string;
  readonly proves: ScenarioNumber;
  readonly ours?: () => Partial<ConnectionIntent>;
  readonly theirs?: () => Partial<PeerConnection>;
  readonly change: (world: World) => World;
  /** What `docs/policies.md` says that becomes of its SAs. */
  readonly becomes: "kept" | "rekeyed" | "IKE rekeyed" | "ended" | "made anew";
  /** What is true of the next time, or brings it about. */
  readonly after?: () => Promise<void>;
}

let credentials: Record<"own" | "renewed" | "theirs" | "theirsNext" | "pinned" | "pinnedNext", Credential>;
let world: World;

const CHANGES: readonly Change[] = [
  {
    id: "own-certificate",
    what: "our certificate and its private key",
    proves: 2,
    ours: () => certified,
    theirs: () => ({ remote: { auth: "pubkey", id: OURS } }),
    change: (before) => ({ ...before, own: credentials.renewed }),
    becomes: "kept",
    async after() {
      await again("own-certificate");
      await logged(lab.peer, /received end entity cert "CN=renewed\.test"/);
    },
  },
  {
    id: "further-certificate",
    what: "a further certificate that the peer is known by",
    proves: 2,
    ours: () => known(credentials.pinned),
    theirs: () => ({ ...showing(credentials.pinned), remote: { auth: "psk", id: OURS } }),
    change: (before) => change("further-certificate", () => known(credentials.pinned, credentials.pinnedNext))(before),
    becomes: "kept",
  },
  {
    id: "other-certificate",
    what: "the certificate that the peer is known by",
    proves: 2,
    ours: () => known(credentials.pinned),
    theirs: () => ({ ...showing(credentials.pinned), remote: { auth: "psk", id: OURS } }),
    change: (before) => change("other-certificate", () => known(credentials.pinnedNext))(before),
    becomes: "ended",
    async after() {
      await reload("other-certificate", { ...showing(credentials.pinnedNext), remote: { auth: "psk", id: OURS } });
      await again("other-certificate");
    },
  },
  {
    id: "further-psk",
    what: "a further pre-shared key",
    proves: 1,
    change: change("further-psk", () => secrets(PSK, NEXT_PSK)),
    becomes: "kept",
  },
  {
    id: "other-psk",
    what: "the pre-shared key",
    proves: 1,
    theirs: () => ({ local: { auth: "psk", id: "other-psk.test" } }),
    ours: () => named("other-psk.test", secrets(PSK)),
    change: change("other-psk", () => named("other-psk.test", secrets(NEXT_PSK))),
    becomes: "ended",
    async after() {
      await lab.peer.command("load-shared", {
        id: "other",
        type: "IKE",
        data: NEXT_PSK,
        owners: ["other-psk.test", OURS],
      });
      await again("other-psk");
    },
  },
  {
    id: "further-ca",
    what: "a further CA",
    proves: 2,
    ours: () => vouchedBy("first"),
    theirs: () => ({ ...showing(credentials.theirs), remote: { auth: "psk", id: OURS } }),
    change: change("further-ca", () => vouchedBy("second", "first")),
    becomes: "kept",
  },
  {
    id: "other-ca",
    what: "the CA",
    proves: 2,
    ours: () => vouchedBy("first"),
    theirs: () => ({ ...showing(credentials.theirs), remote: { auth: "psk", id: OURS } }),
    change: change("other-ca", () => vouchedBy("second")),
    becomes: "ended",
    async after() {
      await reload("other-ca", { ...showing(credentials.theirsNext), remote: { auth: "psk", id: OURS } });
      await again("other-ca");
    },
  },
  {
    id: "esp-proposal",
    what: "the ESP proposal",
    proves: 15,
    theirs: () => ({ children: childrenOf("esp-proposal", { proposals: ["aes256gcm16", "aes128gcm16"] }) }),
    change: change("esp-proposal", ({ children }) => ({
      children: children.map((c) => ({ ...c, espProposals: ["aes128gcm16"] })),
    })),
    becomes: "rekeyed",
  },
  {
    id: "ike-proposal",
    what: "the IKE proposal",
    proves: 15,
    theirs: () => ({ proposals: ["aes256-sha256-x25519", "aes128-sha256-x25519"] }),
    change: change("ike-proposal", () => ({ ikeProposals: ["aes128-sha256-x25519"] })),
    becomes: "IKE rekeyed",
  },
  {
    id: "address",
    what: "the peer's address",
    proves: 1,
    ours: () => starting("address"),
    theirs: () => ({ extra: { local_addrs: [tunnelOf("address").theirs.address, MOVED] } }),
    change: change("address", ({ remote }) => ({ remote: { ...remote, host: MOVED, from: [`${MOVED}/32`] } })),
    becomes: "made anew",
    async after() {
      expect((await lab.agent.established("address")).remote.address.toString()).toBe(MOVED);
    },
  },
  {
    id: "lifetimes",
    what: "lifetimes and liveness checks",
    proves: 6,
    change: change("lifetimes", () => ({ ikeRekeySeconds: 7200, dpd: { intervalSeconds: 30 } })),
    becomes: "kept",
  },
  {
    id: "password",
    what: "a user's password",
    proves: 8,
    ours: () => people,
    theirs: () => person(ALICE),
    change: (before) => ({ ...before, users: { ...before.users, [ALICE]: "another from now on" } }),
    becomes: "ended",
    async after() {
      await lab.peer.command("load-shared", { id: ALICE, type: "EAP", data: "another from now on", owners: [ALICE] });
      await again("password");
    },
  },
  {
    id: "user",
    what: "a user",
    proves: 8,
    ours: () => people,
    theirs: () => person(BOB),
    change: ({ users: { [BOB]: _, ...users }, ...before }) => ({ ...before, users }),
    becomes: "ended",
    async after() {
      await expect(lab.peer.initiate("user-net")).rejects.toThrow(/refused initiate/);
      expect((await lab.agent.peer("user")).lastError?.code).toBe("ike/eap-credentials");
    },
  },
  {
    // Last, and made anew outside the pings: when strongSwan gives up its virtual address, the only one of its `ipsec0`, its kernel drops
    // every route of that device, and charon puts them back 100 ms later. Meanwhile the answers of its other tunnels find no way.
    id: "pool",
    what: "the pool",
    proves: 7,
    ours: () => ({
      role: "responder",
      modeConfig: { poolIds: ["pool"] },
      children: connectionIntent(tunnelOf("pool")).children.map((c) => ({ ...c, remoteSubnets: [] })),
    }),
    theirs: () => ({ vips: ["0.0.0.0"], children: childrenOf("pool", { localTs: ["dynamic"] }) }),
    change: (before) => ({ ...before, pool: "10.8.0.0/24" }),
    becomes: "kept",
    async after() {
      const vips = async () => (await lab.peer.listSas("pool"))[0]?.localVips ?? [];
      expect(await vips()).toEqual([expect.stringMatching(/^10\.9\.0\./)]);
      await again("pool");
      expect(await vips()).toEqual([expect.stringMatching(/^10\.8\.0\./)]);
    },
  },
];

const UNRELATED = tunnel(0, "unrelated");
const CASES = CHANGES.map((c, n) => ({ ...c, tunnel: tunnel(n + 1, c.id) }));
const TUNNELS = [UNRELATED, ...CASES.map((c) => c.tunnel)];

function tunnelOf(id: string): TunnelCase {
  const found = TUNNELS.find((t) => t.id === id);
  if (!found) throw new Error(`no tunnel ${id}`);
  return found;
}

const starting = (id: string): Partial<ConnectionIntent> => ({
  children: connectionIntent(tunnelOf(id)).children.map((c) => ({ ...c, startAction: "start" })),
});
const childrenOf = (id: string, more: Partial<PeerConnection["children"][number]>): PeerConnection["children"] =>
  peerConnection(tunnelOf(id)).children.map((c) => ({ ...c, ...more }));

/** The far end's connection, changed as its operator would. */
async function reload(id: string, more: Partial<PeerConnection>): Promise<void> {
  await lab.peer.load({ connections: [{ ...peerConnection(tunnelOf(id)), ...more }] });
}

/** It comes up, anew where it was up. */
async function again(id: string): Promise<void> {
  const t = tunnelOf(id);
  for (const { uniqueId } of await lab.peer.listSas(id)) await lab.peer.terminate({ ikeId: uniqueId });
  await lab.pair.gone(t);
  await lab.pair.up(t, "theirs");
  await lab.pair.both(t);
}

const topology = cableTopology(NS, TUNNELS, { cable: { theirs: [`${MOVED}/24`] } });

const lab = againstStrongswan(NS, topology).forFile(async () => {
  const [first, second, elsewhere] = await Promise.all(
    ["first", "second", "elsewhere"].map((name) => createAuthority(name, "ecdsa")),
  );
  if (!first || !second || !elsewhere) throw new Error("three authorities");
  credentials = {
    own: await first.issue(OURS, "ecdsa"),
    renewed: await first.issue(["renewed.test", OURS], "ecdsa"),
    theirs: await first.issue(THEIRS, "ecdsa"),
    theirsNext: await second.issue(THEIRS, "ecdsa"),
    pinned: await elsewhere.issue(THEIRS, "ecdsa"),
    pinnedNext: await elsewhere.issue(THEIRS, "ecdsa"),
  };
  const theirs = [credentials.theirs, credentials.theirsNext, credentials.pinned, credentials.pinnedNext];
  const connections = [{ tunnel: UNRELATED, ours: undefined }, ...CASES].map(({ tunnel: t, ours }) => {
    const plain = connectionIntent(t);
    // To the far end all are one name's, so a first contact of one would end the others.
    const alone = { ...plain, remote: { ...plain.remote, from: [`${t.theirs.address}/32`] }, initialContact: false };
    return [t.id, { ...alone, ...ours?.() }] as const;
  });
  world = {
    connections: Object.fromEntries(connections),
    anchors: { first, second },
    users: { [ALICE]: `password of ${ALICE}`, [BOB]: `password of ${BOB}` },
    pool: "10.9.0.0/24",
    own: credentials.own,
  };
  return {
    peer: {
      plugins: ["eap-identity", "eap-mschapv2"],
      settings: { install_virtual_ip: "yes" },
      authorities: [first.certificate],
      privateKeys: theirs.map((c) => c.privateKey),
      secrets: [{ owners: [THEIRS, OURS], secret: PSK }],
      connections: [peerConnection(UNRELATED), ...CASES.map((c) => ({ ...peerConnection(c.tunnel), ...c.theirs?.() }))],
    },
    agent: { credential: credentials.own, intent: intentOf(world) },
  };
});
// Secrets with names, so that they can be changed.
beforeAll(async () => {
  const { peer, pair } = lab;
  await peer.command("load-shared", { id: "other", type: "IKE", data: PSK, owners: ["other-psk.test", OURS] });
  for (const user of [ALICE, BOB]) {
    await peer.command("load-shared", { id: user, type: "EAP", data: `password of ${user}`, owners: [user] });
  }
  await pair.up(UNRELATED, "ours");
  await pair.both(UNRELATED);
}, 120_000);

/** What has become of a tunnel, at both ends. */
async function has(t: TunnelCase, becomes: Change["becomes"], before: ReturnType<typeof spisOf>): Promise<void> {
  if (becomes === "ended") return lab.pair.gone(t);
  const same = {
    ike: becomes !== "IKE rekeyed" && becomes !== "made anew",
    child: becomes !== "rekeyed" && becomes !== "made anew",
  };
  await lab.pair.settled(t, (ends) => {
    const now = spisOf(ends);
    return (now.ike === before.ike) === same.ike && (now.child === before.child) === same.child;
  });
}

describe("changed while the agent runs", () => {
  for (const { id, what, proves, becomes, change: make, after, tunnel: t } of CASES) {
    scenario(
      { proves },
      `${what}: the SAs are ${becomes}, an unrelated tunnel is not touched`,
      async () => {
        if (id === "address") await lab.pair.both(t);
        else await lab.pair.up(t, "theirs");
        const before = spisOf(await lab.pair.both(t));
        const unrelated = spisOf(await lab.pair.both(UNRELATED));
        const own = world.own;
        world = make(world);
        const steady = await lab.pair.during(UNRELATED, async () => {
          await lab.agent.change({ intent: intentOf(world), ...(world.own !== own && { credential: world.own }) });
          await has(t, becomes, before);
        });
        expect(steady.received).toBe(steady.sent);
        await after?.();
        expect(spisOf(await lab.pair.both(UNRELATED))).toEqual(unrelated);
      },
      120_000,
    );
  }
});
