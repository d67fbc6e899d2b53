import { type Endpoint, endpointText, IpAddress } from "@sallyport/base";
import type { SeededRng } from "./rng.js";
import type { VirtualClock } from "./virtual-clock.js";

/** What may happen to a datagram; probabilities in [0, 1], delays in milliseconds. */
export interface NetworkFaults {
  readonly loss: number;
  readonly duplication: number;
  /** Every datagram takes `delay` and up to `jitter` more: jitter above the spacing of datagrams reorders them. */
  readonly delay: number;
  readonly jitter: number;
}

const PERFECT: NetworkFaults = { loss: 0, duplication: 0, delay: 10, jitter: 0 };

export interface Packet {
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly datagram: Uint8Array;
}

/** Sees every packet before it is sent: returns it, changed or not, or undefined to swallow it. */
export type Tap = (packet: Packet) => Packet | undefined;

interface Nat {
  readonly inside: string;
  readonly outside: IpAddress;
  nextPort: number;
  /** Inside endpoint → outside port, and back. */
  readonly out: Map<string, number>;
  readonly back: Map<number, Endpoint>;
}

/** Carries datagrams between simulated peers, as badly as it is told to. */
export class Network {
  faults: NetworkFaults = PERFECT;
  /** Pairs of addresses, `a>b`, between which nothing passes. */
  readonly cut = new Set<string>();
  readonly taps: Tap[] = [];
  carried = 0;
  octets = 0;
  readonly #nats: Nat[] = [];
  readonly #forwards = new Map<string, IpAddress>();

  constructor(
    private readonly clock: VirtualClock,
    private readonly rng: SeededRng,
    private readonly deliver: (packet: Packet) => void,
  ) {}

  /** Puts an address and port translator before everything that `inside` sends. */
  addNat(inside: string, outside: string): void {
    this.#nats.push({
      inside,
      outside: IpAddress.parse(outside),
      nextPort: 20_000 + 1_000 * this.#nats.length,
      out: new Map(),
      back: new Map(),
    });
  }

  /** Leads what comes to a translator's address, and belongs to no mapping, to one machine behind it. */
  forward(outside: string, inside: string): void {
    this.#forwards.set(outside, IpAddress.parse(inside));
  }

  /** Makes every translator forget: the next packet gets another port. */
  rebindNats(): void {
    for (const nat of this.#nats) nat.out.clear();
  }

  send(original: Packet): void {
    let packet: Packet | undefined = original;
    for (const tap of this.taps) packet = packet && tap(packet);
    if (!packet) return;
    this.inject(packet);
  }

  /** Past the taps. */
  inject(packet: Packet): void {
    const { loss, duplication } = this.faults;
    if (this.rng.fraction() < loss) return;
    this.#carry(packet);
    if (this.rng.fraction() < duplication) this.#carry(packet);
  }

  #carry(packet: Packet): void {
    const translated = this.#inward(this.#outward(packet));
    if (!translated || this.cut.has(`${packet.from.address}>${packet.to.address}`)) return;
    this.carried++;
    this.octets += packet.datagram.length;
    const { delay, jitter } = this.faults;
    this.clock.at(this.clock.now + delay + this.rng.fraction() * jitter, () => this.deliver(translated));
  }

  #outward(packet: Packet): Packet {
    const nat = this.#nats.find((n) => n.inside === packet.from.address.toString());
    if (!nat) return packet;
    // What is led in comes out as it was called.
    if (this.#forwards.get(nat.outside.toString())?.equals(packet.from.address)) {
      return { ...packet, from: { address: nat.outside, port: packet.from.port } };
    }
    const key = endpointText(packet.from);
    let port = nat.out.get(key);
    if (port === undefined) {
      port = nat.nextPort++;
      nat.out.set(key, port);
      nat.back.set(port, packet.from);
    }
    return { ...packet, from: { address: nat.outside, port } };
  }

  #inward(packet: Packet): Packet | undefined {
    const nats = this.#nats.filter((n) => n.outside.equals(packet.to.address));
    if (nats.length === 0) return packet;
    const inside = nats.map((n) => n.back.get(packet.to.port)).find((to) => to !== undefined);
    const forward = this.#forwards.get(packet.to.address.toString());
    const to = inside ?? (forward && { address: forward, port: packet.to.port });
    return to && { ...packet, to };
  }
}
