import type { ConnectionIntent } from "@sallyport/intent";
import type { PeerConnection, PeerPool, Topology } from "@sallyport/testkit";
import type { TunnelCase } from "./lab.js";

export const NS = { ours: "sp-reauth-ours", makes: "sp-reauth-makes", breaks: "sp-reauth-breaks" };
export const NAME = "reauthentication.gateway.test";

/** A charon either makes before it breaks or breaks before it makes, in all that it has. */
export type PeerMode = "makes" | "breaks";

interface Case {
  readonly tunnel: TunnelCase;
  readonly at: PeerMode;
  readonly ours: Partial<ConnectionIntent>;
}

const NET = { makes: "192.0.2", breaks: "198.51.100" };

function reauthCase(
  n: number,
  id: string,
  peer: Partial<PeerConnection> = {},
  ours: Partial<ConnectionIntent> = {},
  at: PeerMode = "makes",
): Case {
  const tunnel: TunnelCase = {
    id,
    auth: "psk",
    psk: `secret of ${id}`,
    ours: { name: NAME, address: `${NET[at]}.1`, subnet: `10.1.${n}.0/24`, host: `10.1.${n}.1` },
    theirs: { name: `${id}.test`, address: `${NET[at]}.${10 + n}`, subnet: `10.2.${n}.0/24`, host: `10.2.${n}.1` },
    ike: ["aes256gcm16-prfsha384-x25519"],
    esp: ["aes256gcm16-x25519"],
    peer,
  };
  return { tunnel, at, ours };
}

const SOON = { over_time: "2s", rand_time: "0s" };
export const POOL: PeerPool = { name: "asked", addresses: "10.3.4.0/28" };

export const CASES = {
  make: reauthCase(1, "make", {}, { reauthentication: { seconds: 4, mode: "make-before-break" } }),
  break: reauthCase(2, "break", {}, { reauthentication: { seconds: 4, mode: "break-before-make" } }),
  theirs: reauthCase(3, "theirs"),
  /** strongSwan tells its lifetime only to those whom it cannot call itself, as those who have an address from it. */
  asked: reauthCase(
    4,
    "asked",
    { reauthSeconds: 10, pools: [POOL.name], extra: SOON },
    { addressRequest: { families: ["ipv4"], dns: false } },
  ),
  asks: reauthCase(5, "asks", { extra: SOON }, { authLifetimeSeconds: 9 }),
  breaks: reauthCase(6, "breaks", {}, {}, "breaks"),
};
export type CaseName = keyof typeof CASES;

export const ALL: readonly Case[] = Object.values(CASES);
export const tunnelsAt = (at: PeerMode): readonly TunnelCase[] => ALL.flatMap((c) => (c.at === at ? [c.tunnel] : []));

const cable = (at: PeerMode): Topology["cables"][number] => [
  { namespace: NS.ours, device: at, addresses: [`${NET[at]}.1/24`] },
  { namespace: NS[at], device: "wan", addresses: tunnelsAt(at).map((t) => `${t.theirs.address}/24`) },
];

export const TOPOLOGY: Topology = {
  ipv6: false,
  namespaces: [
    { name: NS.ours, loopback: ALL.map(({ tunnel }) => `${tunnel.ours.host}/32`) },
    ...(["makes", "breaks"] as const).map((at) => ({
      name: NS[at],
      loopback: tunnelsAt(at).map((t) => `${t.theirs.host}/32`),
    })),
  ],
  cables: [cable("makes"), cable("breaks")],
};
