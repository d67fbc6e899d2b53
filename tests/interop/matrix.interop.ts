import {
  Agent,
  createAuthority,
  layOut,
  remove,
  Strongswan,
  startAgent,
  startStrongswan,
  type Topology,
} from "@sallyport/testkit";
import { DATA_PLANE, gatewayIntent, Pair, PEER_DATA_PLANE, peerConnection, type TunnelCase } from "./lab.js";
import { STARTED_BY, scenario } from "./scenario.js";

type Kind = "psk" | "rsa" | "ecdsa";
type Group = "x25519" | "ecp256" | "modp2048";
type Cipher = "gcm" | "cbc";
type Row = readonly [initiator: "ours" | "theirs", Kind, Group, Cipher];

/** Every pair of values of any two columns occurs. */
const ROWS: readonly Row[] = [
  ["ours", "psk", "x25519", "gcm"],
  ["theirs", "psk", "ecp256", "cbc"],
  ["ours", "psk", "modp2048", "cbc"],
  ["theirs", "rsa", "x25519", "cbc"],
  ["ours", "rsa", "ecp256", "gcm"],
  ["theirs", "rsa", "modp2048", "gcm"],
  ["ours", "ecdsa", "x25519", "cbc"],
  ["theirs", "ecdsa", "ecp256", "gcm"],
  ["ours", "ecdsa", "modp2048", "gcm"],
];

const IKE_CIPHER: Record<Cipher, string> = { gcm: "aes256gcm16-prfsha384", cbc: "aes256-sha256" };
const ESP_CIPHER: Record<Cipher, string> = { gcm: "aes256gcm16", cbc: "aes128-sha256" };
const GROUP_NAME: Record<Group, string> = { x25519: "CURVE_25519", ecp256: "ECP_256", modp2048: "MODP_2048" };
/** As strongSwan lists them. */
const IKE_SUITE: Record<Cipher, string> = {
  gcm: "AES_GCM_16-256/PRF_HMAC_SHA2_384",
  cbc: "AES_CBC-256/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256",
};
const ESP_SUITE: Record<Cipher, string> = { gcm: "AES_GCM_16-256", cbc: "AES_CBC-128/HMAC_SHA2_256_128" };

/** Two gateways, since a gateway has one certificate: the first shows ECDSA, the second RSA. */
const NS = { ecdsa: "sp-matrix-ecdsa", rsa: "sp-matrix-rsa", peer: "sp-matrix-peer" };
const gatewayOf = (kind: Kind) => (kind === "rsa" ? "rsa" : "ecdsa");
const NET = { ecdsa: "192.0.2", rsa: "198.51.100" };

const tunnel = ([, kind, group, cipher]: Row, index: number): TunnelCase => {
  const n = index + 1;
  const gateway = gatewayOf(kind);
  return {
    id: `${kind}-${group}-${cipher}`,
    auth: kind === "psk" ? "psk" : "certificate",
    psk: `secret of case ${n}`,
    ours: {
      name: `${gateway}.gateway.test`,
      address: `${NET[gateway]}.1`,
      subnet: `10.1.${n}.0/24`,
      host: `10.1.${n}.1`,
    },
    theirs: {
      name: kind === "psk" ? `peer${n}.test` : `${kind}.peer.test`,
      address: `${NET[gateway]}.${10 + n}`,
      subnet: `10.2.${n}.0/24`,
      host: `10.2.${n}.1`,
    },
    ike: [`${IKE_CIPHER[cipher]}-${group}`],
    // Rekeys with PFS except in the rows with modp2048.
    esp: [group === "modp2048" ? ESP_CIPHER[cipher] : `${ESP_CIPHER[cipher]}-${group}`],
  };
};
const CASES = ROWS.map((row, index) => ({ row, tunnel: tunnel(row, index) }));
const of = (gateway: "ecdsa" | "rsa") => CASES.filter((c) => gatewayOf(c.row[1]) === gateway).map((c) => c.tunnel);

const cable = (gateway: "ecdsa" | "rsa") =>
  [
    { namespace: NS[gateway], device: "wan", addresses: [`${NET[gateway]}.1/24`] },
    { namespace: NS.peer, device: gateway, addresses: of(gateway).map((t) => `${t.theirs.address}/24`) },
  ] as const;
const TOPOLOGY: Topology = {
  namespaces: [
    { name: NS.ecdsa, loopback: of("ecdsa").map((t) => `${t.ours.host}/32`) },
    { name: NS.rsa, loopback: of("rsa").map((t) => `${t.ours.host}/32`) },
    { name: NS.peer, loopback: CASES.map((c) => `${c.tunnel.theirs.host}/32`) },
  ],
  cables: [cable("ecdsa"), cable("rsa")],
};

let peer: Strongswan | undefined;
const agents: Partial<Record<"ecdsa" | "rsa", Agent>> = {};

function pair(kind: Kind): Pair {
  const gateway = gatewayOf(kind);
  const agent = agents[gateway];
  if (!agent || !peer) throw new Error("the lab did not start");
  return new Pair(agent, peer, { ours: NS[gateway], theirs: NS.peer });
}

beforeAll(async () => {
  await remove(TOPOLOGY);
  await layOut(TOPOLOGY);
  const authority = await createAuthority("Interop root", "ecdsa");
  const theirs = {
    rsa: await authority.issue("rsa.peer.test", "rsa"),
    ecdsa: await authority.issue("ecdsa.peer.test", "ecdsa"),
  };
  peer = await startStrongswan({
    namespace: NS.peer,
    dataPlane: PEER_DATA_PLANE,
    authorities: [authority.certificate],
    privateKeys: [theirs.rsa.privateKey, theirs.ecdsa.privateKey],
    secrets: CASES.filter((c) => c.tunnel.auth === "psk").map(({ tunnel: t }) => ({
      owners: [t.theirs.name],
      secret: t.psk ?? "",
    })),
    connections: CASES.map(({ row: [, kind], tunnel: t }) =>
      peerConnection(t, kind === "psk" ? undefined : theirs[kind]),
    ),
  });
  for (const gateway of ["ecdsa", "rsa"] as const) {
    const own = await authority.issue(`${gateway}.gateway.test`, gateway);
    agents[gateway] = await startAgent({
      namespace: NS[gateway],
      dataPlane: DATA_PLANE,
      credential: own,
      intent: gatewayIntent(`${gateway}.gateway.test`, of(gateway), { own, authority }),
    });
  }
}, 60_000);

afterAll(async () => {
  await Promise.all([peer?.stop(), agents.ecdsa?.stop(), agents.rsa?.stop()]);
  await remove(TOPOLOGY);
}, 30_000);

describe.each(CASES)(
  "strongSwan, $tunnel.id, initiated by $row.0",
  ({ row: [initiator, kind, group, cipher], tunnel: t }) => {
    const espSuite = (rekeyed: boolean) =>
      rekeyed && group !== "modp2048" ? `${ESP_SUITE[cipher]}/${GROUP_NAME[group]}` : ESP_SUITE[cipher];

    const tunnelOf = kind === "psk" ? 1 : 2;
    const role = STARTED_BY[initiator];

    scenario(
      { proves: [tunnelOf, 15], role },
      "negotiates what was asked for, and both ends list the same SAs",
      async () => {
        await pair(kind).up(t, initiator);
        const { ours, theirs, child } = await pair(kind).both(t);
        expect(ours.initiator).toBe(initiator === "ours");
        expect(theirs.initiator).toBe(initiator === "theirs");
        expect(theirs.suite).toBe(`${IKE_SUITE[cipher]}/${GROUP_NAME[group]}`);
        expect(child.theirs.suite).toBe(espSuite(false));
        expect(child.theirs.localTs).toEqual([t.theirs.subnet]);
        expect(child.theirs.remoteTs).toEqual([t.ours.subnet]);
        expect(theirs.remoteId).toBe(t.ours.name);
        expect(ours.remoteId).toBe(t.theirs.name);
      },
      20_000,
    );

    scenario(
      { proves: [tunnelOf, 15], role },
      "carries traffic without loss, counted at the far end",
      async () => {
        expect(await pair(kind).ping(t, 20)).toMatchObject({ sent: 20, received: 20 });
        const { child } = await pair(kind).both(t);
        expect(child.theirs.packetsIn).toBeGreaterThanOrEqual(20);
        expect(child.theirs.packetsOut).toBeGreaterThanOrEqual(20);
      },
      20_000,
    );

    for (const by of ["ours", "theirs"] as const) {
      const role = STARTED_BY[by];
      scenario(
        { proves: 3, role },
        `rekeys the CHILD SA without loss, started by ${by}`,
        async () => {
          const before = await pair(kind).both(t);
          const traffic = await pair(kind).during(t, async () => {
            await pair(kind).rekey(t, "child", by);
            const after = await changed(kind, t, before.child.theirs.spiIn);
            expect(after.theirs.initiatorSpi).toBe(before.theirs.initiatorSpi);
            expect(after.child.theirs.suite).toBe(espSuite(true));
          });
          expect(traffic.lossPct).toBe(0);
          const { child } = await pair(kind).both(t);
          expect(child.theirs.packetsIn).toBeGreaterThan(0);
        },
        20_000,
      );

      scenario(
        { proves: 4, role },
        `rekeys the IKE SA without loss, started by ${by}`,
        async () => {
          const before = await pair(kind).both(t);
          const traffic = await pair(kind).during(t, async () => {
            await pair(kind).rekey(t, "ike", by);
            const after = await changed(kind, t, before.theirs.initiatorSpi);
            expect(after.theirs.initiator).toBe(by === "theirs");
            expect(after.theirs.suite).toBe(before.theirs.suite);
            expect(after.child.theirs.spiIn).toBe(before.child.theirs.spiIn);
          });
          expect(traffic.lossPct).toBe(0);
        },
        20_000,
      );
    }

    scenario(
      { proves: tunnelOf, role },
      "ends at both ends when one deletes it",
      async () => {
        if (initiator === "ours") await pair(kind).agent.ask("down", { tunnel: t.id });
        else await pair(kind).peer.terminate({ ike: t.id });
        await pair(kind).gone(t);
        expect((await pair(kind).agent.peer(t.id)).sas.flatMap((sa) => sa.children)).toEqual([]);
        expect((await pair(kind).ping(t, 2)).received).toBe(0);
      },
      20_000,
    );
  },
);

/** Waits until neither end lists `old` (an SPI of a CHILD SA or of an IKE SA) as in use. */
async function changed(kind: Kind, t: TunnelCase, old: number | string) {
  return pair(kind).settled(t, ({ theirs, child }) => child.theirs.spiIn !== old && theirs.initiatorSpi !== old);
}
