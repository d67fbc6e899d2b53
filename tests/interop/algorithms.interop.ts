import { Agent, layOut, remove, Strongswan, startAgent, startStrongswan, type Topology } from "@sallyport/testkit";
import { DATA_PLANE, gatewayIntent, Pair, PEER_DATA_PLANE, peerConnection, type TunnelCase } from "./lab.js";
import { STARTED_BY, scenario } from "./scenario.js";

/** What the matrix does not have: every other algorithm and group that both ends know, as strongSwan names the suites. */
const ROWS = [
  ["aes128gcm16-prfsha256-ecp384", "aes128gcm16-ecp384", /AES_GCM_16-128.*ECP_384/, /AES_GCM_16-128/],
  ["aes256gcm12-prfsha512-ecp521", "aes256gcm12-ecp521", /AES_GCM_12-256.*ECP_521/, /AES_GCM_12-256/],
  ["aes192gcm8-prfsha256-x25519", "aes192gcm8-x25519", /AES_GCM_8-192.*CURVE_25519/, /AES_GCM_8-192/],
  ["chacha20poly1305-prfsha512-x448", "chacha20poly1305-x448", /CHACHA20_POLY1305.*CURVE_448/, /CHACHA20_POLY1305/],
  ["aes256ctr-sha256-modp3072", "aes256ctr-sha256-modp3072", /AES_CTR-256.*MODP_3072/, /AES_CTR-256/],
  ["aes192-sha384-modp4096", "aes192-sha384-modp4096", /AES_CBC-192.*SHA2_384.*MODP_4096/, /AES_CBC-192.*SHA2_384/],
  ["aes128-sha512-modp6144", "aes128-sha512", /AES_CBC-128.*SHA2_512.*MODP_6144/, /AES_CBC-128.*SHA2_512/],
  ["aes256-aesxcbc-modp1536", "aes256-aesxcbc", /AES_CBC-256.*XCBC.*MODP_1536/, /AES_CBC-256.*XCBC/],
  ["aes256-aescmac-ecp256", "aes128-aescmac", /AES_CBC-256.*CMAC.*ECP_256/, /AES_CBC-128.*CMAC/],
  ["aes128-sha1-modp2048", "aes128-sha1", /AES_CBC-128.*SHA1.*MODP_2048/, /AES_CBC-128.*SHA1/],
] as const;

const NS = { ours: "sp-algo-ours", theirs: "sp-algo-theirs" };
const CASES = ROWS.map(([ike, esp, ikeSuite, espSuite], index) => {
  const n = index + 1;
  const tunnel: TunnelCase = {
    id: `algorithms${n}`,
    auth: "psk",
    psk: `secret of case ${n}`,
    ours: { name: "ours.test", address: "192.0.2.1", subnet: `10.1.${n}.0/24`, host: `10.1.${n}.1` },
    theirs: { name: `theirs${n}.test`, address: `192.0.2.${10 + n}`, subnet: `10.2.${n}.0/24`, host: `10.2.${n}.1` },
    ike: [ike],
    esp: [esp],
  };
  return { ike, tunnel, ikeSuite, espSuite };
});
const TUNNELS = CASES.map((c) => c.tunnel);

const TOPOLOGY: Topology = {
  namespaces: [
    { name: NS.ours, loopback: TUNNELS.map((t) => `${t.ours.host}/32`) },
    { name: NS.theirs, loopback: TUNNELS.map((t) => `${t.theirs.host}/32`) },
  ],
  cables: [
    [
      { namespace: NS.ours, device: "wan", addresses: ["192.0.2.1/24"] },
      { namespace: NS.theirs, device: "wan", addresses: TUNNELS.map((t) => `${t.theirs.address}/24`) },
    ],
  ],
};

let agent: Agent;
let peer: Strongswan;
const pair = () => new Pair(agent, peer, NS);

beforeAll(async () => {
  await remove(TOPOLOGY);
  await layOut(TOPOLOGY);
  peer = await startStrongswan({
    namespace: NS.theirs,
    dataPlane: PEER_DATA_PLANE,
    secrets: TUNNELS.map((t) => ({ owners: [t.theirs.name], secret: t.psk ?? "" })),
    connections: TUNNELS.map((t) => peerConnection(t)),
  });
  agent = await startAgent({ namespace: NS.ours, dataPlane: DATA_PLANE, intent: gatewayIntent("ours.test", TUNNELS) });
}, 60_000);
afterAll(async () => {
  await Promise.all([peer?.stop(), agent?.stop()]);
  await remove(TOPOLOGY);
}, 30_000);

describe.each(CASES)("strongSwan, $ike", ({ tunnel: t, ikeSuite, espSuite }) => {
  for (const by of ["ours", "theirs"] as const) {
    scenario(
      { proves: 15, role: STARTED_BY[by] },
      `${t.esp[0]}, before and after both rekeys, started by ${by}`,
      async () => {
        await pair().up(t, by);
        const first = await pair().both(t);
        expect(first.theirs.suite).toMatch(ikeSuite);
        expect(first.child.theirs.suite).toMatch(espSuite);
        expect(await pair().ping(t, 5)).toMatchObject({ received: 5 });
        await pair().rekey(t, "child", by);
        const second = await pair().settled(t, ({ child }) => child.theirs.spiIn !== first.child.theirs.spiIn);
        await pair().rekey(t, "ike", by);
        const third = await pair().settled(t, ({ theirs }) => theirs.initiatorSpi !== first.theirs.initiatorSpi);
        expect(second.child.theirs.suite).toMatch(espSuite);
        expect(third.theirs.suite).toMatch(ikeSuite);
        expect(await pair().ping(t, 5)).toMatchObject({ received: 5 });
        if (by === "ours") await agent.ask("down", { tunnel: t.id });
        else await peer.terminate({ ike: t.id });
        await pair().gone(t);
      },
      30_000,
    );
  }
});
