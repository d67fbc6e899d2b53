import { randomInt } from "node:crypto";
import type { Clock, IpAddress } from "@sallyport/base";
import type { SaId, SaState } from "@sallyport/dataplane";
import { fault } from "./faults.js";
import { InboundSa, OutboundSa } from "./sa.js";

const RESERVATION_MS = 30_000;
const STATES_AT_ONCE = 512;

function idKey(destination: IpAddress, { protocol, spi }: Omit<SaId, "destination">): string {
  return `${destination} ${protocol} ${spi}`;
}

function keyOf({ path, spec }: InboundSa | OutboundSa): string {
  return idKey(path.destination, spec);
}

/** The security association database (RFC 4301 §4.4.2), with the SPIs that are promised to SAs to come. */
export class SaDatabase {
  readonly #byId = new Map<string, InboundSa | OutboundSa>();
  /** By SPI alone: inbound SAs of ours, whose SPIs we chose and keep apart. */
  readonly #inbound = new Map<number, InboundSa>();
  readonly #outbound = new Map<number, OutboundSa[]>();
  /** When each lapses, oldest first: only those that have lapsed are looked at. */
  readonly #reserved = new Map<number, number>();

  constructor(private readonly clock: Clock) {}

  /** CORE-15: 256 and up, and never one that is in use. */
  reserve(): number {
    this.#lapse();
    for (;;) {
      const spi = randomInt(256, 2 ** 32);
      if (this.#inbound.has(spi) || this.#reserved.has(spi)) continue;
      this.#reserved.set(spi, this.clock.now() + RESERVATION_MS);
      return spi;
    }
  }

  reserved(spi: number): boolean {
    const until = this.#reserved.get(spi);
    return until !== undefined && until > this.clock.now();
  }

  #lapse(): void {
    const now = this.clock.now();
    for (const [spi, until] of this.#reserved) {
      if (until > now) return;
      this.#reserved.delete(spi);
    }
  }

  add(sa: InboundSa | OutboundSa): void {
    const key = keyOf(sa);
    if (this.#byId.has(key) || (sa instanceof InboundSa && this.#inbound.has(sa.spec.spi))) {
      throw fault("dataplane/refused", `there is an SA ${key} already`, { field: "spi", value: "EEXIST" });
    }
    this.#byId.set(key, sa);
    if (sa instanceof InboundSa) {
      this.#inbound.set(sa.spec.spi, sa);
      this.#reserved.delete(sa.spec.spi);
    } else {
      const others = this.#outbound.get(sa.spec.reqid);
      if (others) others.push(sa);
      else this.#outbound.set(sa.spec.reqid, [sa]);
    }
  }

  get(id: SaId): InboundSa | OutboundSa | undefined {
    return this.#byId.get(idKey(id.destination, id));
  }

  inbound(spi: number): InboundSa | undefined {
    return this.#inbound.get(spi);
  }

  /** Oldest first. */
  outbound(reqid: number): readonly OutboundSa[] {
    return this.#outbound.get(reqid) ?? [];
  }

  /** Files an SA under its new destination. */
  rename(before: SaId, sa: InboundSa | OutboundSa): void {
    this.#byId.delete(idKey(before.destination, before));
    this.#byId.set(keyOf(sa), sa);
  }

  delete(sa: InboundSa | OutboundSa): void {
    this.#byId.delete(keyOf(sa));
    if (sa instanceof InboundSa) {
      this.#inbound.delete(sa.spec.spi);
      return;
    }
    const rest = (this.#outbound.get(sa.spec.reqid) ?? []).filter((other) => other !== sa);
    if (rest.length > 0) this.#outbound.set(sa.spec.reqid, rest);
    else this.#outbound.delete(sa.spec.reqid);
  }

  has(sa: InboundSa | OutboundSa): boolean {
    return this.#byId.get(keyOf(sa)) === sa;
  }

  all(): (InboundSa | OutboundSa)[] {
    return [...this.#byId.values()];
  }

  /** There may be tens of thousands: others have their turn in between. */
  async states(): Promise<SaState[]> {
    const out: SaState[] = [];
    for (const sa of this.#byId.values()) {
      if (out.push(sa.state(this.clock)) % STATES_AT_ONCE === 0) await new Promise(setImmediate);
    }
    return out;
  }

  outgoing(): OutboundSa[] {
    return [...this.#outbound.values()].flat();
  }
}
