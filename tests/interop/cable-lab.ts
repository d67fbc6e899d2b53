import type { Topology } from "@sallyport/testkit";
import type { TunnelCase } from "./lab.js";

/** Namespaces of the two ends of a cable. */
export interface Ends {
  readonly ours: string;
  readonly theirs: string;
}

/** Tunnel number `n` of two gateways on one cable: each has an address of the far end and networks of its own. */
export const cableTunnel = <More extends Partial<TunnelCase>>(
  n: number,
  id: string,
  more: More,
): TunnelCase & More => ({
  id,
  auth: "psk",
  psk: `a secret of ${id}`,
  ours: { name: "ours.test", address: "192.0.2.1", subnet: `10.1.${n}.0/24`, host: `10.1.${n}.1` },
  theirs: { name: `theirs${n}.test`, address: `192.0.2.${10 + n}`, subnet: `10.2.${n}.0/24`, host: `10.2.${n}.1` },
  ike: ["aes256-sha256-x25519"],
  esp: ["aes256gcm16"],
  ...more,
});

export function cableTopology(ends: Ends, tunnels: readonly TunnelCase[]): Topology {
  return {
    namespaces: [
      { name: ends.ours, loopback: tunnels.map((t) => `${t.ours.host}/32`) },
      { name: ends.theirs, loopback: tunnels.map((t) => `${t.theirs.host}/32`) },
    ],
    cables: [
      [
        { namespace: ends.ours, device: "wan", addresses: ["192.0.2.1/24"] },
        { namespace: ends.theirs, device: "wan", addresses: tunnels.map((t) => `${t.theirs.address}/24`) },
      ],
    ],
  };
}
