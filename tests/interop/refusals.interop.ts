import type { LastError } from "@sallyport/ike";
import {
  Agent,
  eventually,
  layOut,
  remove,
  Strongswan,
  startAgent,
  startStrongswan,
  type Topology,
} from "@sallyport/testkit";
import { DATA_PLANE, gatewayIntent, PEER_DATA_PLANE, peerConnection, type TunnelCase } from "./lab.js";
import { scenario } from "./scenario.js";

const NS = { ours: "sp-refuse-ours", theirs: "sp-refuse-theirs" };

type Differences = Partial<Pick<TunnelCase, "ike" | "esp" | "peer">> & { readonly theirPsk?: string };
interface Refusal extends TunnelCase {
  readonly theirPsk: string;
}
const refusal = (n: number, id: string, { theirPsk, ...differences }: Differences): Refusal => ({
  id,
  auth: "psk",
  psk: "what we know",
  theirPsk: theirPsk ?? "what we know",
  ours: { name: "ours.test", address: "192.0.2.1", subnet: `10.1.${n}.0/24`, host: `10.1.${n}.1` },
  theirs: { name: `theirs${n}.test`, address: `192.0.2.${10 + n}`, subnet: `10.2.${n}.0/24`, host: `10.2.${n}.1` },
  ike: ["aes256-sha256-x25519"],
  esp: ["aes256gcm16"],
  ...differences,
});

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
const TOPOLOGY: Topology = {
  namespaces: [{ name: NS.ours }, { name: NS.theirs }],
  cables: [
    [
      { namespace: NS.ours, device: "wan", addresses: ["192.0.2.1/24"] },
      { namespace: NS.theirs, device: "wan", addresses: TUNNELS.map((t) => `${t.theirs.address}/24`) },
    ],
  ],
};

let agent: Agent;
let peer: Strongswan;

beforeAll(async () => {
  await remove(TOPOLOGY);
  await layOut(TOPOLOGY);
  peer = await startStrongswan({
    namespace: NS.theirs,
    dataPlane: PEER_DATA_PLANE,
    secrets: TUNNELS.map((t) => ({
      owners: [t.theirs.name, ...(t.id === "wrong-name" ? ["somebody.else.test"] : [])],
      secret: t.theirPsk,
    })),
    connections: TUNNELS.map((t) => peerConnection(t)),
  });
  agent = await startAgent({ namespace: NS.ours, dataPlane: DATA_PLANE, intent: gatewayIntent("ours.test", TUNNELS) });
}, 60_000);
afterAll(async () => {
  await Promise.all([peer?.stop(), agent?.stop()]);
  await remove(TOPOLOGY);
}, 30_000);

/** The newest error of a connection, its own or its child's, that is not older than `since`. */
async function errorOf(id: string, wanted: (error: LastError) => boolean = () => true): Promise<LastError> {
  return eventually(`${id} says what went wrong`, async () => {
    const { lastError, childErrors } = await agent.peer(id);
    const error = Object.values(childErrors)[0] ?? lastError;
    return error && wanted(error) ? error : undefined;
  });
}

describe.each(CASES)("$tunnel.id", ({ tunnel, notify, ours, theirs }) => {
  scenario(
    { proves: 14, role: "responder" },
    "is refused to a caller with the right notification, and we say both sides' values",
    async () => {
      await expect(peer.initiate(`${tunnel.id}-net`, 4000)).rejects.toThrow(/refused initiate/);
      expect(await peer.log(60)).toMatch(new RegExp(`parsed IKE_(SA_INIT|AUTH) response \\d \\[.*N\\(${notify}\\)`));
      const error = await errorOf(tunnel.id);
      expect(error.ours).toMatch(ours);
      expect(error.theirs).toMatch(theirs);
      expect(await agent.log(400)).toContain(error.code);
    },
    20_000,
  );

  scenario(
    { proves: 14, role: "initiator" },
    "is named when we call and are refused",
    async () => {
      await agent.ask("down", { tunnel: tunnel.id });
      await agent.ask("up", { tunnel: tunnel.id, child: `${tunnel.id}-net` }).catch(() => undefined);
      await eventually(
        "strongSwan has refused us",
        async () =>
          new RegExp(`generating IKE_(SA_INIT|AUTH) response \\d \\[.*N\\(${notify}\\)`).test(await peer.log(80)) ||
          undefined,
      );
      const error = await errorOf(tunnel.id, (e) => e.message.includes("the peer answered"));
      expect(error.theirs).not.toBe("");
      expect(error.ours).toMatch(ours);
      await agent.ask("down", { tunnel: tunnel.id });
    },
    20_000,
  );
});
