import type { PolicySpec, SaId, SaState } from "@sallyport/dataplane";
import { saKey } from "./netlink.js";
import type { KernelSa } from "./wire/sa.js";

/** Milliseconds for which the kernel keeps an SPI reserved (net.core.xfrm_acq_expires). */
const RESERVATION_MS = 30_000;

interface Entry {
  readonly id: SaId;
  readonly reqid: number;
  readonly direction: "in" | "out";
  /** Monotonic milliseconds. */
  readonly addedAt: number;
  /** Counted before the SA was added anew by a move. */
  readonly carried: Carried;
}

interface Carried {
  readonly bytes: bigint;
  readonly packets: bigint;
}

/** Of every SA that was not moved. */
const NOTHING: Carried = { bytes: 0n, packets: 0n };

/** Which SAs of the kernel are ours in this run, and what the kernel does not keep of them. */
export class Registry {
  readonly #sas = new Map<string, Entry>();
  /** Oldest first: only those that have lapsed are looked at. */
  readonly #reserved = new Map<string, { id: SaId; until: number }>();

  constructor(readonly now: () => number) {}

  reserve(id: SaId): void {
    const now = this.now();
    this.#reserved.delete(saKey(id));
    for (const [key, { until }] of this.#reserved) {
      if (until >= now) break;
      this.#reserved.delete(key);
    }
    this.#reserved.set(saKey(id), { id, until: now + RESERVATION_MS });
  }

  reservations(): SaId[] {
    return [...this.#reserved.values()].map(({ id }) => id);
  }

  isReserved(id: SaId): boolean {
    return this.#reserved.has(saKey(id));
  }

  add(id: SaId, reqid: number, direction: "in" | "out", carried = NOTHING, ageSeconds = 0): void {
    this.#reserved.delete(saKey(id));
    const { destination, protocol, spi } = id;
    const addedAt = this.now() - ageSeconds * 1000;
    this.#sas.set(saKey(id), { id: { destination, protocol, spi }, reqid, direction, addedAt, carried });
  }

  delete(id: SaId): void {
    this.#sas.delete(saKey(id));
    this.#reserved.delete(saKey(id));
  }

  get(id: SaId): Entry | undefined {
    return this.#sas.get(saKey(id));
  }

  entries(): Entry[] {
    return [...this.#sas.values()];
  }

  clear(): void {
    this.#sas.clear();
    this.#reserved.clear();
  }

  /** The port's view: age by the monotonic clock where we saw the SA begin, counters over all moves. */
  state(sa: KernelSa): SaState {
    const { user: _user, addedAt, lastUsedAt, ...state } = sa;
    const entry = this.get(sa);
    const wall = Math.floor(Date.now() / 1000);
    return {
      ...state,
      bytes: state.bytes + (entry?.carried.bytes ?? 0n),
      packets: state.packets + (entry?.carried.packets ?? 0n),
      ageSeconds: entry ? Math.floor((this.now() - entry.addedAt) / 1000) : Math.max(0, wall - addedAt),
      idleSeconds: lastUsedAt === 0 ? undefined : Math.max(0, wall - lastUsedAt),
    };
  }
}

/** What names a policy: direction and selector. */
export function policyKey(policy: Pick<PolicySpec, "direction" | "selector">): string {
  const { source, destination, protocol, sourcePort, destinationPort, ...bits } = policy.selector;
  const { sourcePortBits = 16, destinationPortBits = 16 } = bits;
  const from = `${sourcePort ?? "*"}/${sourcePortBits}`;
  return [
    policy.direction,
    source,
    destination,
    protocol,
    from,
    `${destinationPort ?? "*"}/${destinationPortBits}`,
  ].join(" ");
}
