import { IpAddress } from "@sallyport/base";
import type { CryptoKeys, IkeConfig } from "@sallyport/ike";
import { ADDRESSES, configOf, peerOf } from "./configs.js";
import { Network, type NetworkFaults } from "./network.js";
import { SeededRng } from "./rng.js";
import { SimKeys } from "./sim-keys.js";
import { SimPeer } from "./sim-peer.js";
import { VirtualClock } from "./virtual-clock.js";

/** Peers in virtual time on a network that can be as bad as a test wants. */
export class Simulation {
  readonly clock = new VirtualClock();
  readonly rng: SeededRng;
  readonly network: Network;
  readonly peers = new Map<string, SimPeer>();

  constructor(
    readonly seed = 1,
    readonly keys: CryptoKeys = new SimKeys(),
  ) {
    this.rng = new SeededRng(seed);
    this.network = new Network(this.clock, new SeededRng(seed ^ 0x5eed), ({ from, to, datagram }) => {
      this.peers.get(to.address.toString())?.receive(to, from, datagram);
    });
  }

  addPeer(name: string, address: string): SimPeer {
    const own = new SeededRng(this.rng.u32());
    const peer = new SimPeer(name, IpAddress.parse(address), this.clock, this.network, this.keys, own);
    this.peers.set(address, peer);
    return peer;
  }

  /** Changes a peer's addresses; the peer hears of it as from its kernel. */
  readdress(peer: SimPeer, ...addresses: string[]): void {
    for (const old of peer.addresses) this.peers.delete(old.toString());
    peer.addresses = addresses.map((a) => IpAddress.parse(a));
    for (const address of addresses) this.peers.set(address, peer);
    peer.networkChanged();
  }

  get now(): number {
    return this.clock.now;
  }

  run(seconds: number): void {
    this.clock.runUntil(this.clock.now + seconds * 1000);
  }

  faults(faults: Partial<NetworkFaults>): void {
    this.network.faults = { ...this.network.faults, ...faults };
  }
}

export interface Pair {
  readonly sim: Simulation;
  readonly a: SimPeer;
  readonly b: SimPeer;
}

/** Two peers, `a` at 192.0.2.1 – behind a NAT with the outside address `nat` – and `b` at 198.51.100.1, configured but not run. */
export function pair(
  options: {
    readonly seed?: number;
    readonly a?: IkeConfig;
    readonly b?: IkeConfig;
    readonly keys?: CryptoKeys;
    readonly nat?: string;
  } = {},
): Pair {
  const sim = new Simulation(options.seed, options.keys);
  if (options.nat) sim.network.addNat(ADDRESSES.a, options.nat);
  const a = sim.addPeer("a", ADDRESSES.a);
  const b = sim.addPeer("b", ADDRESSES.b);
  b.configure(options.b ?? configOf(peerOf("b")));
  a.configure(options.a ?? configOf(peerOf("a")));
  return { sim, a, b };
}
