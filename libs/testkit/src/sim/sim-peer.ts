import { type Endpoint, type IpAddress, isFault } from "@sallyport/base";
import {
  type Command,
  type CryptoKeys,
  type Effect,
  failureOf,
  type IkeConfig,
  IkeEngine,
  type IkeEvent,
  type IkeStatus,
  type Input,
  type PeerStatus,
  runCryptoJob,
  wipeHandedOver,
} from "@sallyport/ike";
import { FakeDataPlane } from "./fake-data-plane.js";
import type { Network } from "./network.js";
import type { SeededRng } from "./rng.js";
import type { VirtualClock } from "./virtual-clock.js";

/** Failures of this end's own doing, in which the peer has no part. */
const OUR_OWN = /^(dataplane|agent)\/|^ike\/(data-plane|not-configured|runner)$/;

/** Whatever fails in an exchange has to name it, the reason, and both sides' values (LOG-03). */
function requireReason(event: IkeEvent): void {
  if (event.event !== "negotiation-failed" && event.event !== "auth-failed") return;
  const { code, exchange, message, ours, theirs } = event.error;
  if (message && (exchange === "" || OUR_OWN.test(code) || (ours && theirs))) return;
  throw new Error(`a failure that does not say enough: ${JSON.stringify(event.error)}`);
}

/** An engine with a clock, a network, keys and a data plane of the simulation; answers its effects at once or a little later. */
export class SimPeer {
  engine: IkeEngine;
  readonly dataPlane = new FakeDataPlane();
  readonly events: IkeEvent[] = [];
  readonly traces: Extract<Effect, { do: "trace" }>[] = [];
  /** Milliseconds that crypto jobs and data plane operations take. */
  cryptoDelay = 0;
  dataPlaneDelay = 0;
  /** No datagram reaches this peer. */
  down = false;
  keepalives = 0;
  /** What this machine has; the first of a family is where packets leave. */
  addresses: readonly IpAddress[];
  /** The routing table: whence packets to an address leave. */
  source = (remote: IpAddress): IpAddress | undefined => this.addresses.find((a) => a.family === remote.family);
  readonly #timers = new Map<number, number>();
  #generation = 0;
  readonly #inputs: Input[] = [];
  #busy = false;

  constructor(
    readonly name: string,
    readonly address: IpAddress,
    private readonly clock: VirtualClock,
    private readonly network: Network,
    private readonly keys: CryptoKeys,
    private readonly rng: SeededRng,
  ) {
    this.engine = new IkeEngine({ rng });
    this.addresses = [address];
  }

  /** Tells the engine what addresses there are now, as an agent does when the kernel says that they changed. */
  networkChanged(): void {
    this.handle({ on: "network", now: this.clock.now, addresses: this.addresses });
  }

  configure(config: IkeConfig): void {
    this.handle({ on: "config", now: this.clock.now, config });
  }

  command(command: Command): void {
    this.handle({ on: "command", now: this.clock.now, command });
  }

  receive(local: Endpoint, remote: Endpoint, datagram: Uint8Array): void {
    if (this.down) return;
    this.handle({ on: "datagram", now: this.clock.now, local, remote, datagram });
  }

  /** The process dies: engine and timers are gone, the data plane stays as it is. */
  crash(): void {
    this.#generation++;
    this.#timers.clear();
    this.engine = new IkeEngine({ rng: this.rng });
  }

  /** Effects of one input are all carried out before the next input, even when one of them has its result at once. */
  handle(input: Input): void {
    this.#inputs.push(input);
    if (this.#busy) return;
    this.#busy = true;
    for (let next = this.#inputs.shift(); next; next = this.#inputs.shift()) {
      let changes = false;
      for (const effect of this.engine.handle(next)) {
        changes ||= effect.do === "dataplane";
        // As in the agent: what a peer is told of the data plane holds by then.
        if (changes && effect.do === "send") this.#later(this.dataPlaneDelay, () => this.#run(effect));
        else this.#run(effect);
      }
    }
    this.#busy = false;
  }

  #later(ms: number, run: () => void): void {
    if (ms === 0) {
      run();
      return;
    }
    const generation = this.#generation;
    this.clock.at(this.clock.now + ms, () => {
      if (generation === this.#generation) run();
    });
  }

  #run(effect: Effect): void {
    switch (effect.do) {
      case "send":
        if (!this.addresses.some((a) => a.equals(effect.local.address))) return;
        this.network.send({ from: effect.local, to: effect.remote, datagram: effect.datagram });
        return;
      case "keepalive":
        this.keepalives++;
        return;
      case "arm":
        this.#arm(effect.timer, effect.at);
        return;
      case "disarm":
        this.#timers.delete(effect.timer);
        return;
      case "route": {
        const { id, remotes } = effect;
        this.handle({ on: "routed", now: this.clock.now, id, sources: remotes.map((r) => this.source(r)) });
        return;
      }
      case "crypto":
        this.#later(this.cryptoDelay, () => this.handle(this.#crypto(effect)));
        return;
      case "dataplane":
        this.#later(this.dataPlaneDelay, () => this.#dataPlane(effect));
        return;
      case "trace":
        this.traces.push(effect);
        return;
      case "emit":
        requireReason(effect.event);
        this.events.push(effect.event);
    }
  }

  #arm(timer: number, at: number): void {
    this.#timers.set(timer, at);
    const generation = this.#generation;
    this.clock.at(at, () => {
      if (generation !== this.#generation || this.#timers.get(timer) !== at) return;
      this.#timers.delete(timer);
      this.handle({ on: "timer", now: this.clock.now, timer });
    });
  }

  #crypto(effect: Extract<Effect, { do: "crypto" }>): Input {
    const { now } = this.clock;
    try {
      return { on: "crypto-done", now, id: effect.id, result: runCryptoJob(effect.job, this.keys, this.rng) };
    } catch (error) {
      if (!isFault(error)) throw error;
      return { on: "failed", now, id: effect.id, at: 0, failure: failureOf(error) };
    }
  }

  #dataPlane(effect: Extract<Effect, { do: "dataplane" }>): void {
    const answer = this.#dataPlaneAnswer(effect);
    wipeHandedOver(effect.ops);
    if (answer) this.handle(answer);
  }

  #dataPlaneAnswer({ id, ops }: Extract<Effect, { do: "dataplane" }>): Input | undefined {
    const values: unknown[] = [];
    for (const op of ops) {
      try {
        values.push(this.dataPlane.run(op));
      } catch (error) {
        if (!isFault(error)) throw error;
        if (id === 0) throw new Error(`${this.name}: ${op.op} failed with nobody waiting: ${error.message}`);
        return { on: "failed", now: this.clock.now, id, at: values.length, failure: failureOf(error) };
      }
    }
    return id === 0 ? undefined : { on: "dataplane-done", now: this.clock.now, id, values };
  }

  /** Undefined when no such peer is configured. */
  peer(id: string): PeerStatus | undefined {
    return this.engine.status().peers.find((p) => p.peer === id);
  }

  /** Established IKE SAs with a peer. */
  established(peer?: string): IkeStatus[] {
    const { peers } = this.engine.status();
    return peers
      .filter((p) => peer === undefined || p.peer === peer)
      .flatMap((p) => p.sas)
      .filter((sa) => sa.state === "established" || sa.state === "rekeying");
  }

  /** Events of a kind, e.g. `child-up`. */
  of<K extends IkeEvent["event"]>(kind: K): Extract<IkeEvent, { event: K }>[] {
    return this.events.filter((e): e is Extract<IkeEvent, { event: K }> => e.event === kind);
  }

  count(name: string): number {
    return this.engine.status().counters[name] ?? 0;
  }
}
