import type { LastError } from "@sallyport/ike";
import { eventually, logged } from "@sallyport/testkit";
import { cableTopology, cableTunnel } from "./cable.js";
import { againstStrongswan } from "./daemons.js";
import { gatewayIntent, peerConnection, type TunnelCase } from "./lab.js";
import { scenario } from "./scenario.js";

const NS = { ours: "sp-refuse-ours", theirs: "sp-refuse-theirs" };

/** `theirPsk`: what the far end knows instead. */
const refusal = (n: number, id: string, differences: Partial<TunnelCase> & { readonly theirPsk?: string }) =>
  cableTunnel(n, id, { psk: "what we know", theirPsk: "what we know", ...differences });

const CASES = [
  {
    tunnel: refusal(1, "ike-proposal", { peer: { proposals: ["aes128-sha512-ecp384"] } }),
    notify: "NO_PROP",
    ours: /AES_CBC_256.*CURVE25519/,
    theirs: /AES_CBC_128.*ECP_?384/,
  },
  {
    tunnel: refusal(2, "esp-proposal", { peer: { esp: ["aes128-sha256"] } }),
    notify: "NO_PROP",
    ours: /AES_GCM_16_256/,
    theirs: /AES_CBC_128/,
  },
  {
    tunnel: refusal(3, "selectors", { peer: { remoteTs: ["10.77.0.0/24"] } }),
    notify: "TS_UNACCEPT",
    ours: /10\.1\.3\.0/,
    theirs: /10\.77\.0\.0/,
  },
  {
    tunnel: refusal(4, "wrong-key", { theirPsk: "what they know" }),
    notify: "AUTH_FAILED",
    ours: /psk|pre-shared/i,
    theirs: /theirs4\.test|psk|pre-shared/i,
  },
  {
    tunnel: refusal(5, "wrong-name", { peer: { local: { auth: "psk", id: "somebody.else.test" } } }),
    notify: "AUTH_FAILED",
    ours: /theirs5\.test|ours\.test/,
    theirs: /somebody\.else\.test|AUTHENTICATION_FAILED/,
  },
] as const;

const TUNNELS = CASES.map((c) => c.tunnel);
const lab = againstStrongswan(NS, cableTopology(NS, TUNNELS)).forFile(() => ({
  peer: {
    secrets: TUNNELS.map((t) => ({
      owners: [t.theirs.name, ...(t.id === "wrong-name" ? ["somebody.else.test"] : [])],
      secret: t.theirPsk,
    })),
    connections: TUNNELS.map((t) => peerConnection(t)),
  },
  agent: { intent: gatewayIntent("ours.test", TUNNELS) },
}));

/** The newest error of a connection, its own or its child's, that is not older than `since`. */
async function errorOf(id: string, wanted: (error: LastError) => boolean = () => true): Promise<LastError> {
  return eventually(`${id} says what went wrong`, async () => {
    const { lastError, childErrors } = await lab.agent.peer(id);
    const error = Object.values(childErrors)[0] ?? lastError;
    return error && wanted(error) ? error : undefined;
  });
}

describe.each(CASES)("$tunnel.id", ({ tunnel, notify, ours, theirs }) => {
  scenario(
    { proves: 14, role: "responder" },
    "is refused to a caller with the right notification, and we say both sides' values",
    async () => {
      await expect(lab.peer.initiate(`${tunnel.id}-net`)).rejects.toThrow(/refused initiate/);
      await logged(lab.peer, new RegExp(`parsed IKE_(SA_INIT|AUTH) response \\d \\[.*N\\(${notify}\\)`));
      const error = await errorOf(tunnel.id);
      expect(error.ours).toMatch(ours);
      expect(error.theirs).toMatch(theirs);
      await logged(lab.agent, new RegExp(error.code));
    },
    120_000,
  );

  scenario(
    { proves: 14, role: "initiator" },
    "is named when we call and are refused",
    async () => {
      await lab.agent.ask("down", { tunnel: tunnel.id });
      await lab.agent.ask("up", { tunnel: tunnel.id, child: `${tunnel.id}-net` }).catch(() => undefined);
      await logged(lab.peer, new RegExp(`generating IKE_(SA_INIT|AUTH) response \\d \\[.*N\\(${notify}\\)`));
      const error = await errorOf(tunnel.id, (e) => e.message.includes("the peer answered"));
      expect(error.theirs).not.toBe("");
      expect(error.ours).toMatch(ours);
      await lab.agent.ask("down", { tunnel: tunnel.id });
    },
    120_000,
  );
});
