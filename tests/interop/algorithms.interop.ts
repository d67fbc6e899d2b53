import { cableTopology, cableTunnel } from "./cable.js";
import { againstStrongswan } from "./daemons.js";
import { gatewayIntent, peerConnection } from "./lab.js";
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
  const tunnel = cableTunnel(index + 1, `algorithms${index + 1}`, { ike: [ike], esp: [esp] });
  return { ike, tunnel, ikeSuite, espSuite };
});
const TUNNELS = CASES.map((c) => c.tunnel);

const lab = againstStrongswan(NS, cableTopology(NS, TUNNELS)).forFile(() => ({
  peer: {
    secrets: TUNNELS.map((t) => ({ owners: [t.theirs.name], secret: t.psk ?? "" })),
    connections: TUNNELS.map((t) => peerConnection(t)),
  },
  agent: { intent: gatewayIntent("ours.test", TUNNELS) },
}));

describe.each(CASES)("strongSwan, $ike", ({ tunnel: t, ikeSuite, espSuite }) => {
  for (const by of ["ours", "theirs"] as const) {
    scenario(
      { proves: 15, role: STARTED_BY[by] },
      `${t.esp[0]}, before and after both rekeys, started by ${by}`,
      async () => {
        await lab.pair.up(t, by);
        const first = await lab.pair.both(t);
        expect(first.theirs.suite).toMatch(ikeSuite);
        expect(first.child.theirs.suite).toMatch(espSuite);
        expect(await lab.pair.ping(t, 5)).toMatchObject({ received: 5 });
        await lab.pair.rekey(t, "child", by);
        const second = await lab.pair.settled(t, ({ child }) => child.theirs.spiIn !== first.child.theirs.spiIn);
        await lab.pair.rekey(t, "ike", by);
        const third = await lab.pair.settled(t, ({ theirs }) => theirs.initiatorSpi !== first.theirs.initiatorSpi);
        expect(second.child.theirs.suite).toMatch(espSuite);
        expect(third.theirs.suite).toMatch(ikeSuite);
        expect(await lab.pair.ping(t, 5)).toMatchObject({ received: 5 });
        if (by === "ours") await lab.agent.ask("down", { tunnel: t.id });
        else await lab.peer.terminate({ ike: t.id });
        await lab.pair.gone(t);
      },
      120_000,
    );
  }
});
