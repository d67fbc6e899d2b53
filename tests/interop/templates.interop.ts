import type { ConnectionIntent } from "@sallyport/intent";
import { eventually, logged, ping, type Topology } from "@sallyport/testkit";
import { againstStrongswan } from "./daemons.js";
import { connectionIntent, gatewayIntent, peerConnection, type TunnelCase } from "./lab.js";
import { scenario } from "./scenario.js";

const NS = { ours: "sp-tmpl-ours", theirs: "sp-tmpl-theirs" };
const PSK = "whatever fits";
const OURS = "10.2.0.1";
const THEIRS = ["10.1.0.1", "10.1.7.1", "192.168.1.1"] as const;

const TOPOLOGY: Topology = {
  namespaces: [
    { name: NS.ours, loopback: [`${OURS}/32`] },
    { name: NS.theirs, loopback: THEIRS.map((a) => `${a}/32`) },
  ],
  cables: [
    [
      { namespace: NS.ours, device: "wan", addresses: ["192.0.2.1/24"] },
      { namespace: NS.theirs, device: "wan", addresses: ["192.0.2.2/24"] },
    ],
  ],
};

const TUNNEL: TunnelCase = {
  id: "template",
  auth: "psk",
  psk: PSK,
  ours: { name: "ours.test", address: "192.0.2.1", subnet: "10.2.0.0/16", host: OURS },
  theirs: { name: "theirs.test", address: "192.0.2.2", subnet: "10.0.0.0/8", host: THEIRS[0] },
  ike: ["aes256-sha256-x25519"],
  esp: ["aes256gcm16"],
};

function templated(connection: ConnectionIntent): ConnectionIntent {
  return { ...connection, children: connection.children.map((c) => ({ ...c, template: "port-strict" })) };
}

const lab = againstStrongswan(NS, TOPOLOGY).forFile(() => {
  const children = [
    { name: "first", localTs: ["10.1.0.0/24"], remoteTs: ["10.2.0.0/24"], proposals: TUNNEL.esp },
    { name: "second", localTs: ["10.1.7.0/24"], remoteTs: ["10.2.0.0/16"], proposals: TUNNEL.esp },
    { name: "outside", localTs: ["192.168.1.0/24"], remoteTs: ["10.2.0.0/16"], proposals: TUNNEL.esp },
  ];
  return {
    peer: {
      secrets: [{ owners: [TUNNEL.theirs.name], secret: PSK }],
      connections: [{ ...peerConnection(TUNNEL), children }],
    },
    agent: {
      intent: { ...gatewayIntent("ours.test", [TUNNEL]), connections: [templated(connectionIntent(TUNNEL))] },
    },
  };
});

/** Remote selectors of our CHILD SAs. */
async function remotes(): Promise<string[]> {
  const [sa] = (await lab.agent.peer("template")).sas.filter((s) => s.state === "established");
  return (sa?.children ?? []).map((c) => String(c.remote[0]?.first)).sort();
}

describe("a policy template", () => {
  scenario(
    { proves: 24, role: "responder" },
    "takes two different proposals side by side",
    async () => {
      await lab.peer.initiate("first");
      await lab.peer.initiate("second");
      expect(await remotes()).toEqual(["10.1.0.0", "10.1.7.0"]);
      const [theirs] = await lab.peer.listSas("template");
      expect(theirs?.children.map((c) => [c.name, c.remoteTs])).toEqual([
        ["first", ["10.2.0.0/24"]],
        ["second", ["10.2.0.0/16"]],
      ]);
      for (const source of THEIRS.slice(0, 2)) {
        expect(await ping(NS.theirs, OURS, { source, count: 5 })).toMatchObject({ received: 5 });
      }
    },
    120_000,
  );

  scenario(
    { proves: 14, role: "responder" },
    "refuses a third that does not fit, with both sides' values",
    async () => {
      await expect(lab.peer.initiate("outside")).rejects.toThrow();
      await logged(lab.peer, /TS_UNACCEPT/);
      expect((await lab.agent.peer("template")).lastError).toMatchObject({
        code: "ike/ts-unacceptable",
        ours: "template 10.2.0.0/16 === 10.0.0.0/8",
        theirs: "10.2.0.0/16 === 192.168.1.0/24",
      });
      expect(await remotes()).toEqual(["10.1.0.0", "10.1.7.0"]);
    },
    120_000,
  );

  scenario(
    { proves: 24, role: "responder" },
    "leaves the other alone when one goes",
    async () => {
      await lab.peer.terminate({ child: "first" });
      await eventually("one is left", async () => ((await remotes()).length === 1 ? true : undefined));
      expect(await ping(NS.theirs, OURS, { source: THEIRS[1], count: 5 })).toMatchObject({ received: 5 });
    },
    120_000,
  );
});
