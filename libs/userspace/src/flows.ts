import type { InnerPacket } from "./packet.js";

/** Counts changes of policies and SAs; what was decided under an earlier number is decided again. */
export interface Epoch {
  number: number;
}

class Flow<V> {
  epoch = -1;
  family = 0;
  protocol = 0;
  sourcePort = 0;
  destinationPort = 0;
  readonly source = new Uint32Array(4);
  readonly destination = new Uint32Array(4);

  constructor(public verdict: V) {}
}

/**
 * Remembers what was decided for the packets of a flow, so that policies and selectors are looked up once. Direct-mapped:
 * two flows that fall together push each other out. Everything is forgotten when the epoch changes.
 */
export class FlowCache<V> {
  readonly #flows: (Flow<V> | undefined)[];

  /** `slots` is a power of two. */
  constructor(
    slots: number,
    private readonly epoch: Epoch,
  ) {
    this.#flows = new Array(slots).fill(undefined);
  }

  /** What `decide` said for this flow, now or earlier. */
  verdict(packet: InnerPacket, decide: (packet: InnerPacket) => V): V {
    const slot = packet.hash() & (this.#flows.length - 1);
    let flow = this.#flows[slot];
    if (flow && this.#is(flow, packet)) return flow.verdict;
    const verdict = decide(packet);
    if (!flow) {
      flow = new Flow(verdict);
      this.#flows[slot] = flow;
    }
    flow.epoch = this.epoch.number;
    flow.family = packet.family;
    flow.protocol = packet.protocol;
    flow.sourcePort = packet.sourcePort;
    flow.destinationPort = packet.destinationPort;
    flow.source.set(packet.source);
    flow.destination.set(packet.destination);
    flow.verdict = verdict;
    return verdict;
  }

  #is(flow: Flow<V>, packet: InnerPacket): boolean {
    if (
      flow.epoch !== this.epoch.number ||
      flow.family !== packet.family ||
      flow.protocol !== packet.protocol ||
      flow.sourcePort !== packet.sourcePort ||
      flow.destinationPort !== packet.destinationPort
    ) {
      return false;
    }
    const words = packet.family === 4 ? 1 : 4;
    for (let word = 0; word < words; word++) {
      if (flow.source[word] !== packet.source[word] || flow.destination[word] !== packet.destination[word])
        return false;
    }
    return true;
  }
}
