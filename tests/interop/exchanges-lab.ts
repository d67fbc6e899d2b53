import type { ConnectionIntent } from "@sallyport/intent";
import type { PeerConnection, Topology } from "@sallyport/testkit";
import { peerConnection, type TunnelCase } from "./lab.js";

export const NS = { ours: "sp-exch-ours", peer: "sp-exch-peer", returns: "sp-exch-returns" };
export const NAME = "exchanges.gateway.test";

/** `returns`: at the charon that is killed. */
function tunnelCase(n: number, id: string, peer: Partial<PeerConnection> = {}, returns = false): TunnelCase {
  const net = returns ? "198.51.100" : "192.0.2";
  return {
    id,
    auth: "psk",
    psk: `secret of ${id}`,
    ours: { name: NAME, address: `${net}.1`, subnet: `10.1.${n}.0/24`, host: `10.1.${n}.1` },
    theirs: { name: `${id}.test`, address: `${net}.${10 + n}`, subnet: `10.2.${n}.0/24`, host: `10.2.${n}.1` },
    ike: ["aes256gcm16-prfsha384-x25519"],
    esp: ["aes256gcm16-x25519"],
    peer,
  };
}

export const CASES = {
  collide: { tunnel: tunnelCase(6, "collide") },
  unique: { tunnel: tunnelCase(7, "unique", { unique: "replace" }) },
  returns: { tunnel: tunnelCase(9, "returns", {}, true) },
} as const;
export type CaseName = keyof typeof CASES;

export const SEVERAL = tunnelCase(20, "several");
/** At the charon that is killed. */
export const RETURNS = [CASES.returns.tunnel];
export const STAYS = [CASES.collide.tunnel, CASES.unique.tunnel, SEVERAL];

/** One child with selectors of both families, one of a port alone. */
export const NETS = {
  ours: ["10.1.20.0/25", "10.1.20.128/25", "fd00:1::/64"],
  theirs: ["10.2.20.0/24", "fd00:2::/64"],
};
const PORT = { ours: "10.1.21.0/24[udp/40007]", theirs: "10.2.21.0/24[udp/40007]" };

export const TOPOLOGY: Topology = {
  ipv6: true,
  namespaces: [
    {
      name: NS.ours,
      loopback: [...[...STAYS, ...RETURNS].map((t) => `${t.ours.host}/32`), "10.1.21.1/32", "fd00:1::1/128"],
    },
    { name: NS.peer, loopback: [...STAYS.map((t) => `${t.theirs.host}/32`), "10.2.21.1/32", "fd00:2::1/128"] },
    { name: NS.returns, loopback: RETURNS.map((t) => `${t.theirs.host}/32`) },
  ],
  cables: [
    [
      { namespace: NS.ours, device: "stays", addresses: ["192.0.2.1/24"] },
      { namespace: NS.peer, device: "wan", addresses: STAYS.map((t) => `${t.theirs.address}/24`) },
    ],
    [
      { namespace: NS.ours, device: "returns", addresses: ["198.51.100.1/24"] },
      { namespace: NS.returns, device: "wan", addresses: RETURNS.map((t) => `${t.theirs.address}/24`) },
    ],
  ],
};

export function severalConnection(): PeerConnection {
  const { children, ...rest } = peerConnection(SEVERAL);
  const [first] = children;
  if (!first) throw new Error("no child");
  return {
    ...rest,
    children: [
      { ...first, localTs: NETS.theirs, remoteTs: NETS.ours },
      { ...first, name: "several-port", localTs: [PORT.theirs], remoteTs: [PORT.ours] },
    ],
  };
}

export function severalIntent(connection: ConnectionIntent): ConnectionIntent {
  const [first] = connection.children;
  if (!first) throw new Error("no child");
  return {
    ...connection,
    children: [
      { ...first, localSubnets: NETS.ours, remoteSubnets: NETS.theirs },
      {
        ...first,
        id: "several-port",
        name: "several-port",
        localSubnets: [PORT.ours],
        remoteSubnets: [PORT.theirs],
      },
    ],
  };
}
