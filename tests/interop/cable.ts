import type { Topology } from "@sallyport/testkit";
import type { Ends } from "./daemons.js";
import type { TunnelCase } from "./lab.js";

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

/** What a cable's ends have besides their tunnels. */
export interface CableDifferences {
  readonly ipv6?: boolean;
  /** Addresses of either end besides those of the tunnels, with prefix lengths: on the cable and on its loopback. */
  readonly cable?: { readonly ours?: readonly string[]; readonly theirs?: readonly string[] };
  readonly loopback?: { readonly ours?: readonly string[]; readonly theirs?: readonly string[] };
  readonly routes?: Partial<Record<keyof Ends, readonly { readonly to: string; readonly via: string }[]>>;
}

export function cableTopology(ends: Ends, tunnels: readonly TunnelCase[], more: CableDifferences = {}): Topology {
  const machine = (end: keyof Ends) => ({
    name: ends[end],
    loopback: [...tunnels.map((t) => `${t[end].host}/32`), ...(more.loopback?.[end] ?? [])],
    routes: more.routes?.[end] ?? [],
  });
  const port = (end: keyof Ends) => ({
    namespace: ends[end],
    device: "wan",
    addresses: [...new Set(tunnels.map((t) => `${t[end].address}/24`)), ...(more.cable?.[end] ?? [])],
  });
  return {
    ipv6: more.ipv6 ?? false,
    namespaces: [machine("ours"), machine("theirs")],
    cables: [[port("ours"), port("theirs")]],
  };
}
