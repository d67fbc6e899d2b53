import { IpAddress, Prefix } from "@sallyport/base";
import { type IkeConfig, type ModeConfig, type PeerConfig } from "@sallyport/ike";
import { ADDRESSES, childOf, configOf, peerOf, range } from "./configs.js";
import type { SimPeer } from "./sim-peer.js";
import { Simulation } from "./simulation.js";

export const ip = (text: string) => IpAddress.parse(text);
export const SECRET = new TextEncoder().encode("a secret of some length");

export const MODE_CONFIG: ModeConfig = {
  pools: ["four", "six"],
  required: true,
  dns: [ip("10.2.0.53"), ip("2001:db8:2::53")],
  domains: ["corp.example"],
  subnets: [Prefix.parse("10.2.0.0/16")],
  users: [],
};

export interface Addressing {
  readonly mode?: Partial<ModeConfig>;
  readonly last?: string;
}

export function gateway({ mode, last = "10.9.0.250" }: Addressing = {}, more: Partial<PeerConfig> = {}): IkeConfig {
  const peer = peerOf("b", {
    id: "people",
    passive: true,
    remote: { endpoint: undefined, accept: [Prefix.any(4)] },
    remoteAuth: [{ method: "psk", identity: { match: "any" }, secrets: [SECRET] }],
    modeConfig: { ...MODE_CONFIG, ...mode },
    children: [childOf("b", { local: [range("0.0.0.0/0"), range("::/0")], remote: [] })],
    ...more,
  });
  return {
    ...configOf(peer),
    pools: [
      { id: "four", ranges: [{ first: ip("10.9.0.1"), last: ip(last) }] },
      { id: "six", ranges: [{ first: ip("2001:db8:9::1"), last: ip("2001:db8:9::ffff") }] },
    ],
  };
}

export function person(name: string, address: string, more: Partial<PeerConfig> = {}): IkeConfig {
  return configOf(
    peerOf("a", {
      local: { address: ip(address), port: 500 },
      localAuth: [{ method: "psk", identity: { type: "email", name }, secret: SECRET }],
      request: { families: [4, 6], dns: true, hides: [] },
      children: [childOf("a", { local: [], remote: [range("10.2.0.0/16"), range("2001:db8:2::/48")] })],
      ...more,
    }),
  );
}

export interface Lab {
  readonly sim: Simulation;
  readonly b: SimPeer;
  join(name: string, address: string, more?: Partial<PeerConfig>): SimPeer;
}

export function lab(config: IkeConfig = gateway(), seed = 1): Lab {
  const sim = new Simulation(seed);
  const b = sim.addPeer("b", ADDRESSES.b);
  b.configure(config);
  return {
    sim,
    b,
    join(name, address, more) {
      const a = sim.addPeer(name, address);
      a.configure(person(name, address, more));
      return a;
    },
  };
}

export const virtual = (peer: SimPeer) => peer.established()[0]?.virtual;
export const text = (list: readonly { toString(): string }[] | undefined) => list?.map(String) ?? [];
export const leased = (b: SimPeer, pool = "four") => b.engine.status().pools.find((p) => p.pool === pool)?.taken;
