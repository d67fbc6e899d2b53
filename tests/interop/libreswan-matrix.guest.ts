import {
  Agent,
  createAuthority,
  type Libreswan,
  layOut,
  remove,
  startAgent,
  startLibreswan,
  type Topology,
} from "@sallyport/testkit";
import { gatewayIntent, Pair, type TunnelCase } from "./lab.js";
import {
  byCertificate,
  credential,
  type LibreswanSa,
  libreswanConnection,
  secretOf,
  strays,
  wholeNet,
} from "./libreswan-lab.js";
import { STARTED_BY, scenario } from "./scenario.js";
import type { ScenarioNumber } from "./scenarios.js";

type Kind = "psk" | "rsa" | "ecdsa";
type Starter = "ours" | "theirs";
type Row = readonly [initiator: Starter, Kind, ike: string, esp: string];

/** libreswan takes the PRF of an AEAD from a list of its own and elsewhere from the integrity algorithm. */
const ROWS: readonly Row[] = [
  ["ours", "psk", "aes256gcm16-prfsha256-x25519", "aes256gcm16-x25519"],
  ["theirs", "psk", "aes256-sha256-ecp256", "aes128-sha256-ecp256"],
  ["ours", "psk", "aes128-sha512-modp2048", "aes256-sha512"],
  ["theirs", "rsa", "aes256-sha384-ecp384", "aes128gcm16-ecp384"],
  ["ours", "rsa", "chacha20poly1305-prfsha256-x25519", "chacha20poly1305-x25519"],
  ["theirs", "ecdsa", "aes128gcm16-prfsha512-ecp521", "aes256-sha384"],
  ["ours", "ecdsa", "aes256-sha1-modp3072", "aes128-sha1-modp3072"],
];

/** As pluto names them in its log. */
const NAME: Readonly<Record<string, string>> = {
  aes256gcm16: "AES_GCM_16_256",
  aes128gcm16: "AES_GCM_16_128",
  chacha20poly1305: "CHACHA20_POLY1305",
  aes128: "AES_CBC_128",
  aes256: "AES_CBC_256",
  sha1: "HMAC_SHA1_96",
  sha256: "HMAC_SHA2_256_128",
  sha384: "HMAC_SHA2_384_192",
  sha512: "HMAC_SHA2_512_256",
  modp2048: "MODP2048",
  modp3072: "MODP3072",
  ecp256: "DH19",
  ecp384: "DH20",
  ecp521: "DH21",
  x25519: "DH31",
};
const group = (proposal: string) => NAME[proposal.split("-").at(-1) ?? ""] ?? "";
/** Without its group, which only a rekey uses. */
function espSuite(proposal: string, rekeyed: boolean): string {
  const words = proposal.split("-").map((word) => NAME[word] ?? "");
  const hasGroup = /^(DH|MODP)/.test(words.at(-1) ?? "");
  const [cipher = "", integrity] = hasGroup ? words.slice(0, -1) : words;
  return [cipher, integrity ?? "NONE", ...(rekeyed && hasGroup ? [words.at(-1) ?? ""] : [])].join("-");
}

/** A gateway has one certificate: the first shows ECDSA, the second RSA. */
const NS = { ecdsa: "sp-lmatrix-ecdsa", rsa: "sp-lmatrix-rsa", peer: "sp-lmatrix-peer" };
const NET = { ecdsa: "192.0.2", rsa: "198.51.100" };
type Gateway = keyof typeof NET;
const gatewayOf = (kind: Kind): Gateway => (kind === "rsa" ? "rsa" : "ecdsa");

const CASES = ROWS.map((row, index) => {
  const [, kind, ike, esp] = row;
  const n = index + 1;
  const gateway = gatewayOf(kind);
  const tunnel: TunnelCase = {
    id: `case${n}`,
    auth: kind === "psk" ? "psk" : "certificate",
    psk: `a long secret of case ${n}`,
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
    ike: [ike],
    esp: [esp],
  };
  return { row, tunnel };
});
const of = (gateway: Gateway) => CASES.filter((c) => gatewayOf(c.row[1]) === gateway).map((c) => c.tunnel);

const cable = (gateway: Gateway) =>
  [
    { namespace: NS[gateway], device: "wan", addresses: [`${NET[gateway]}.1/24`] },
    { namespace: NS.peer, device: gateway, addresses: of(gateway).map((t) => `${t.theirs.address}/24`) },
  ] as const;
const TOPOLOGY: Topology = {
  namespaces: [
    { name: NS.ecdsa, loopback: of("ecdsa").map((t) => `${t.ours.host}/32`) },
    { name: NS.rsa, loopback: of("rsa").map((t) => `${t.ours.host}/32`) },
    {
      name: NS.peer,
      loopback: CASES.map((c) => `${c.tunnel.theirs.host}/32`),
      routes: CASES.map(({ tunnel: t }) => ({ to: t.ours.subnet, via: t.ours.address })),
    },
  ],
  cables: [cable("ecdsa"), cable("rsa")],
};

let peer: Libreswan | undefined;
const agents: Partial<Record<Gateway, Agent>> = {};

function libreswan(): Libreswan {
  if (!peer) throw new Error("the lab did not start");
  return peer;
}
function pair(kind: Kind): Pair<LibreswanSa> {
  const gateway = gatewayOf(kind);
  const agent = agents[gateway];
  if (!agent || !peer) throw new Error("the lab did not start");
  return new Pair(agent, peer, { ours: NS[gateway], theirs: NS.peer });
}

beforeAll(async () => {
  await remove(TOPOLOGY);
  await layOut(TOPOLOGY);
  const authority = await createAuthority("Interop root", "ecdsa");
  peer = await startLibreswan({
    namespace: NS.peer,
    authorities: [{ name: "root", certificate: authority.certificate, trusted: true }],
    credentials: [
      credential("rsa", await authority.issue("rsa.peer.test", "rsa")),
      credential("ecdsa", await authority.issue("ecdsa.peer.test", "ecdsa")),
    ],
    secrets: CASES.filter((c) => c.tunnel.auth === "psk").map((c) => secretOf(c.tunnel)),
    connections: CASES.map(({ row: [, kind], tunnel: t }) =>
      libreswanConnection(t, kind === "psk" ? {} : byCertificate(kind)),
    ),
    setup: { uniqueids: "no" },
  });
  for (const gateway of ["ecdsa", "rsa"] as const) {
    const own = await authority.issue(`${gateway}.gateway.test`, gateway);
    agents[gateway] = await startAgent({
      namespace: NS[gateway],
      dataPlane: "kernel",
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
  "libreswan, $tunnel.ike, $row.1, initiated by $row.0",
  ({ row: [initiator, kind, ike, esp], tunnel: t }) => {
    /** With RSA keys libreswan signs with PSS, and all signatures are those of RFC 7427. */
    const tunnelOf: readonly ScenarioNumber[] = kind === "psk" ? [1] : [2, 29];
    const role = STARTED_BY[initiator];
    const proof = { proves: [...tunnelOf, 15], peer: "libreswan", role } as const;

    scenario(
      proof,
      "negotiates what was asked for, and both ends list the same SAs",
      async () => {
        await pair(kind).up(t, initiator);
        const { ours, theirs, child } = await pair(kind).both(t);
        expect(ours.initiator).toBe(initiator === "ours");
        expect(theirs.initiator).toBe(initiator === "theirs");
        expect(theirs.suite.split("/")[0]).toContain(NAME[ike.split("-")[0] ?? ""]);
        expect(theirs.suite.split("/").at(-1)).toBe(group(ike));
        expect(child.theirs.suite).toBe(espSuite(esp, false));
        expect(child.theirs.localTs).toEqual([wholeNet(t.theirs.subnet)]);
        expect(child.theirs.remoteTs).toEqual([wholeNet(t.ours.subnet)]);
        expect(theirs.remoteId).toBe(`@${t.ours.name}`);
        expect(ours.remoteId).toBe(t.theirs.name);
      },
      20_000,
    );

    scenario(
      proof,
      "carries traffic without loss, counted at the far end",
      async () => {
        expect(await pair(kind).ping(t, 20)).toMatchObject({ sent: 20, received: 20 });
        const { child } = await pair(kind).both(t);
        expect(child.theirs.bytesIn).toBeGreaterThanOrEqual(20 * 84);
        expect(child.theirs.bytesOut).toBeGreaterThanOrEqual(20 * 84);
      },
      20_000,
    );

    for (const by of ["ours", "theirs"] as const) {
      scenario(
        { proves: 3, peer: "libreswan", role: STARTED_BY[by] },
        `rekeys the CHILD SA and loses nothing that was sent in order, started by ${by}`,
        async () => {
          const before = await pair(kind).both(t);
          const straysBefore = await strays(pair(kind).agent, libreswan());
          const traffic = await pair(kind).during(t, async () => {
            await pair(kind).rekey(t, "child", by);
            const after = await pair(kind).settled(t, ({ child }) => child.theirs.spiIn !== before.child.theirs.spiIn);
            expect(after.theirs.uniqueId).toBe(before.theirs.uniqueId);
            expect(after.child.theirs.suite).toBe(espSuite(esp, true));
          });
          const lostByThem = (await strays(pair(kind).agent, libreswan())) - straysBefore;
          expect(traffic.sent - traffic.received).toBeLessThanOrEqual(lostByThem);
        },
        20_000,
      );

      scenario(
        { proves: 4, peer: "libreswan", role: STARTED_BY[by] },
        `rekeys the IKE SA without loss, started by ${by}`,
        async () => {
          const before = await pair(kind).both(t);
          const traffic = await pair(kind).during(t, async () => {
            await pair(kind).rekey(t, "ike", by);
            const after = await pair(kind).settled(t, ({ theirs }) => theirs.uniqueId !== before.theirs.uniqueId);
            expect(after.theirs.initiator).toBe(by === "theirs");
            expect(after.theirs.suite).toBe(before.theirs.suite);
            expect(after.ours.spiInitiator).not.toBe(before.ours.spiInitiator);
            expect(after.child.theirs.spiIn).toBe(before.child.theirs.spiIn);
          });
          expect(traffic.lossPct).toBe(0);
        },
        20_000,
      );
    }

    scenario(
      { ...proof, proves: tunnelOf },
      "ends at both ends when one deletes it",
      async () => {
        if (initiator === "ours") await pair(kind).agent.ask("down", { tunnel: t.id });
        else await pair(kind).peer.terminate({ ike: t.id });
        await pair(kind).gone(t);
        expect((await pair(kind).ping(t, 2)).received).toBe(0);
      },
      20_000,
    );
  },
);
