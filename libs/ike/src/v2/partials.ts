import type { IkeSa, Partial } from "./sa.js";

export function octetsOf(partials: readonly Partial[]): number {
  return partials.reduce((sum, { parts }) => sum + parts.bytes, 0);
}

/** Whose messages lack fragments (RFC 7383 §2.6), and how many octets of them are held. */
export class PartialMessages {
  /** Serials, those first that have heard nothing for the longest time. */
  readonly #strangers = new Set<number>();
  readonly #peers = new Set<number>();
  #octets = 0;

  get octets(): number {
    return this.#octets;
  }

  /** An IKE SA has become another; `half`: nobody is authenticated there. */
  replaced(old: IkeSa | undefined, next: IkeSa | undefined, half: boolean): void {
    const [before, now] = [old?.partials ?? [], next?.partials ?? []];
    if (before === now && old?.phase === next?.phase) return;
    if (old) {
      this.#strangers.delete(old.serial);
      this.#peers.delete(old.serial);
    }
    this.#octets += octetsOf(now) - octetsOf(before);
    if (next && now.length > 0) (half ? this.#strangers : this.#peers).add(next.serial);
  }

  /** Who has waited longest, strangers first; of `strangers` alone where they are asked for. */
  *oldest(strangers: boolean): Iterable<number> {
    yield* this.#strangers;
    if (!strangers) yield* this.#peers;
  }
}
