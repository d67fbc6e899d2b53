import { type Clock, largestInner } from "@sallyport/base";
import type { SaLifetime, SaSpec, SaState } from "@sallyport/dataplane";
import { ReplayWindow, SequenceCounter } from "@sallyport/esp";
import { META, META_WORDS, type UdpSocket } from "@sallyport/linux-io";
import { type Epoch, FlowCache } from "./flows.js";
import { addressWords, matchOf, type SelectorMatch } from "./selector.js";
import type { Entry } from "./statistics.js";
import type { PacketTransform } from "./transform.js";

/** Where an SA's packets go or come from: addresses and ports of the outer header. */
export type Path = Pick<SaSpec, "source" | "destination"> & {
  readonly encapsulation: { readonly sourcePort: number; readonly destinationPort: number };
};

/** An SA without its keys: the transform has them, and nothing else keeps them. */
export type SaFacts = Omit<SaSpec, "encryption" | "integrity">;

export function factsOf({ encryption: _encryption, integrity: _integrity, ...facts }: SaSpec): SaFacts {
  return facts;
}

const limit = (value: bigint | undefined) => (value === undefined ? Number.POSITIVE_INFINITY : Number(value));

/** What both directions of SAs have. Counters are numbers: exact up to 2⁵³ octets. */
abstract class Sa {
  bytes = 0;
  packets = 0;
  integrityFailures = 0;
  replayed = 0;
  outOfWindow = 0;
  /** Announced as soft-expired already. */
  softExpired = false;
  readonly addedAt: number;
  usedAt: number | undefined;
  path: Path;
  readonly #soft: readonly [bytes: number, packets: number];
  readonly #hard: readonly [bytes: number, packets: number];

  constructor(
    readonly spec: SaFacts,
    path: Path,
    readonly transform: PacketTransform,
    now: number,
  ) {
    this.path = path;
    this.addedAt = now;
    const { softBytes, softPackets, hardBytes, hardPackets }: SaLifetime = spec.lifetime;
    this.#soft = [limit(softBytes), limit(softPackets)];
    this.#hard = [limit(hardBytes), limit(hardPackets)];
  }

  abstract get sequence(): bigint;

  /** Counts a packet of `octets`; says which limit the SA has come to. */
  carried(octets: number): "soft" | "hard" | undefined {
    this.bytes += octets;
    this.packets++;
    if (this.bytes >= this.#hard[0] || this.packets >= this.#hard[1]) return "hard";
    const soft = this.bytes >= this.#soft[0] || this.packets >= this.#soft[1];
    return soft && !this.softExpired ? "soft" : undefined;
  }

  state(clock: Clock): SaState {
    const { destination, source, encapsulation } = this.path;
    const { protocol, spi, direction, mode, reqid, replayWindow } = this.spec;
    const now = clock.now();
    return {
      destination,
      protocol,
      spi,
      direction,
      source,
      mode,
      reqid,
      encapsulation,
      replayWindow,
      bytes: BigInt(this.bytes),
      packets: BigInt(this.packets),
      replayed: this.replayed,
      integrityFailures: this.integrityFailures,
      outOfWindow: this.outOfWindow,
      ageSeconds: (now - this.addedAt) / 1000,
      idleSeconds: this.usedAt === undefined ? undefined : (now - this.usedAt) / 1000,
      sequence: this.sequence,
    };
  }
}

export class OutboundSa extends Sa {
  readonly counter: SequenceCounter;
  readonly selectors: readonly SelectorMatch[];
  /** Address words of a record, to be laid over every packet's own. */
  readonly address = new Uint32Array(META_WORDS);
  /** Octets of the outer path's MTU, as far as it is known. */
  pathMtu: number;
  /** What the operator says of it. */
  readonly #knownMtu: number;
  readonly #deviceMtu: number;
  /** Octets that inner packets are padded to (RFC 4303 §2.7): never more than the device's largest packet, for which there is room. */
  readonly padTo: number;

  constructor(
    spec: SaFacts,
    path: Path,
    transform: PacketTransform,
    now: number,
    public socket: UdpSocket,
    pathMtu: number,
    deviceMtu: number,
  ) {
    super(spec, path, transform, now);
    this.padTo = spec.mode === "tunnel" ? Math.min(spec.tfc ?? 0, deviceMtu) : 0;
    this.counter = new SequenceCounter(spec.esn);
    this.counter.resume(spec.initialSequence ?? 0n);
    this.selectors = spec.selectors.map(matchOf);
    this.#knownMtu = spec.pathMtu ?? Number.POSITIVE_INFINITY;
    this.#deviceMtu = deviceMtu;
    this.pathMtu = pathMtu;
    this.takePath(path, socket);
  }

  takePath(path: Path, socket: UdpSocket): void {
    this.path = path;
    this.socket = socket;
    this.address[META.family] = path.destination.family;
    this.address[META.port] = path.encapsulation.destinationPort;
    this.address.set(addressWords(path.destination), META.address);
    this.address.set(addressWords(path.source), META.local);
  }

  get sequence(): bigint {
    return this.counter.value;
  }

  /** The largest inner packet whose ESP packet fits the outer path's MTU. */
  get innerMtu(): number {
    const { family } = this.path.destination;
    const mtu = Math.min(this.pathMtu, this.#knownMtu);
    return largestInner(mtu, { family, encapsulated: true, ...sizes(this.transform) });
  }

  /** What TCP's packets may have; infinite where they are to be left alone. */
  get tcpMtu(): number {
    return this.spec.clampMss === false ? Number.POSITIVE_INFINITY : Math.min(this.innerMtu, this.#deviceMtu);
  }
}

const sizes = ({ ivBytes, alignment, icvBytes }: PacketTransform) => ({ ivBytes, alignment, icvBytes });

export class InboundSa extends Sa {
  readonly window: ReplayWindow;
  readonly selectors: readonly SelectorMatch[];
  readonly #far = new Uint32Array(6);
  readonly #local: Uint32Array = new Uint32Array(4);
  /** The changed far end that was announced, so that it is announced once. */
  announced: string | undefined;

  /** What was decided about the inner packets. */
  readonly flows: FlowCache<Entry>;

  constructor(spec: SaFacts, path: Path, transform: PacketTransform, now: number, epoch: Epoch) {
    super(spec, path, transform, now);
    this.flows = new FlowCache(16, epoch);
    this.window = new ReplayWindow(spec.replayWindow, spec.esn);
    this.window.resume(spec.initialSequence ?? 0n);
    this.selectors = spec.selectors.map(matchOf);
    this.takePath(path);
  }

  takePath(path: Path): void {
    this.path = path;
    this.announced = undefined;
    this.#far[0] = path.source.family;
    this.#far[1] = path.encapsulation.sourcePort;
    this.#far.set(addressWords(path.source), 2);
    this.#local.set(addressWords(path.destination));
  }

  get sequence(): bigint {
    return this.window.top;
  }

  /** Whether the datagram of this record was sent to the SA's destination. */
  isFor(meta: Uint32Array, record: number): boolean {
    if (meta[record + META.family] !== this.path.destination.family) return false;
    for (let word = 0; word < 4; word++) {
      if (meta[record + META.local + word] !== this.#local[word]) return false;
    }
    return true;
  }

  /** Whether it came from where the SA's packets come from. */
  isFrom(meta: Uint32Array, record: number): boolean {
    for (let word = 0; word < 6; word++) {
      if (meta[record + META.family + word] !== this.#far[word]) return false;
    }
    return true;
  }
}
