import type { Topology } from "@sallyport/testkit";
import { Lab } from "./daemons.js";
import { connectionIntent, gatewayIntent, Pair, peerConnection, type TunnelCase } from "./lab.js";
import { scenario } from "./scenario.js";

const NS = { inside: "sp-nat-inside", router: "sp-nat-router", outside: "sp-nat-outside" };

/** Who sits behind the NAT calls; the other end is on the outside. */
const TOPOLOGY: Topology = {
  namespaces: [
    { name: NS.inside, gateway: "192.168.5.1", loopback: ["10.1.1.1/32"] },
    { name: NS.router, forwards: true, hidesBehind: "wan" },
    { name: NS.outside, loopback: ["10.2.1.1/32"] },
  ],
  cables: [
    [
      { namespace: NS.inside, device: "eth0", addresses: ["192.168.5.2/24"] },
      { namespace: NS.router, device: "lan", addresses: ["192.168.5.1/24"] },
    ],
    [
      { namespace: NS.router, device: "wan", addresses: ["192.0.2.1/24"] },
      { namespace: NS.outside, device: "eth0", addresses: ["192.0.2.2/24"] },
    ],
  ],
};
const INSIDE = { name: "inside.test", address: "192.168.5.2", subnet: "10.1.1.0/24", host: "10.1.1.1" };
const OUTSIDE = { name: "outside.test", address: "192.0.2.2", subnet: "10.2.1.0/24", host: "10.2.1.1" };
const COMMON = {
  auth: "psk",
  psk: "behind the wall",
  ike: ["aes256gcm16-prfsha256-x25519"],
  esp: ["aes256gcm16-x25519"],
} as const;

const lab = new Lab(TOPOLOGY);
lab.forEachTest();

const secrets = [{ owners: [INSIDE.name, OUTSIDE.name], secret: COMMON.psk }];

scenario(
  { proves: 5, role: "initiator" },
  "calls out from behind a NAT, floats to 4500 and rekeys there",
  async () => {
    const tunnel: TunnelCase = { ...COMMON, id: "from-inside", ours: INSIDE, theirs: OUTSIDE };
    const connection = { ...peerConnection(tunnel), remoteAddress: "%any" };
    const peer = await lab.strongswan(NS.outside, { secrets, connections: [connection] });
    const agent = await lab.agent(NS.inside, { intent: gatewayIntent(INSIDE.name, [tunnel]) });
    const pair = new Pair(agent, peer, { ours: NS.inside, theirs: NS.outside });
    await pair.up(tunnel, "ours");
    const first = await pair.both(tunnel);
    expect(first.ours.nat).toMatchObject({ local: true });
    expect(first.theirs).toMatchObject({ remoteHost: "192.0.2.1", localPort: 4500 });
    expect(first.child.theirs.encapsulated).toBe(true);
    expect(first.ours.remote.port).toBe(4500);
    for (const [what, by] of [
      ["child", "theirs"],
      ["ike", "theirs"],
      ["child", "ours"],
      ["ike", "ours"],
    ] as const) {
      const before = await pair.both(tunnel);
      const traffic = await pair.during(tunnel, async () => {
        await pair.rekey(tunnel, what, by);
        await pair.settled(tunnel, ({ theirs, child }) =>
          what === "ike"
            ? theirs.initiatorSpi !== before.theirs.initiatorSpi
            : child.theirs.spiIn !== before.child.theirs.spiIn,
        );
      });
      expect({ what, by, lossPct: traffic.lossPct }).toEqual({ what, by, lossPct: 0 });
    }
  },
  120_000,
);

scenario(
  { proves: 5, role: "responder" },
  "answers a peer that calls from behind a NAT, and sends where it came from",
  async () => {
    const tunnel: TunnelCase = { ...COMMON, id: "from-outside", ours: OUTSIDE, theirs: INSIDE };
    const intent = gatewayIntent(OUTSIDE.name, [tunnel]);
    const connection = {
      ...connectionIntent(tunnel),
      role: "responder",
      remote: { ports: { ike: 500, natt: 4500 } },
    } as const;
    const agent = await lab.agent(NS.outside, { intent: { ...intent, connections: [connection] } });
    const peer = await lab.strongswan(NS.inside, { secrets, connections: [peerConnection(tunnel)] });
    const pair = new Pair(agent, peer, { ours: NS.outside, theirs: NS.inside });
    await pair.up(tunnel, "theirs");
    const { ours, child } = await pair.both(tunnel);
    expect(ours.nat).toMatchObject({ remote: true });
    expect(String(ours.remote.address)).toBe("192.0.2.1");
    expect(child.theirs.encapsulated).toBe(true);
    expect(await pair.ping(tunnel, 20)).toMatchObject({ sent: 20, received: 20 });
  },
  120_000,
);
