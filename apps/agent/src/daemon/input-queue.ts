import type { Input } from "@sallyport/ike";

/** What waits is bounded; datagrams beyond are dropped as a full socket buffer would (hostile input 21). */
export const QUEUE_LIMITS = { datagrams: 4096, ofOneSa: 64, ofStrangers: 512 } as const;
/** One datagram of a stranger after so many other inputs, so that nobody waits for ever. */
const STRANGER_EVERY = 8;

/** A first-in-first-out queue whose front costs the same however long it is. */
class Fifo<T> {
  #items: T[] = [];
  #next = 0;

  get length(): number {
    return this.#items.length - this.#next;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): T | undefined {
    const item = this.#items[this.#next];
    if (item === undefined) return undefined;
    this.#next++;
    if (this.#next === this.#items.length || this.#next > 1024) {
      this.#items = this.#items.slice(this.#next);
      this.#next = 0;
    }
    return item;
  }
}

/** An input with the IKE SA that it names, if it is a datagram that names one. */
export interface Waiting {
  readonly input: Input;
  readonly owner: number | undefined;
}

/**
 * Inputs that wait for the engine. Datagrams of strangers wait apart from those that name an IKE SA and from results and timers: a
 * flood of them delays and displaces nobody else, and no IKE SA displaces another.
 */
export class InputQueue {
  readonly #inputs = new Fifo<Waiting>();
  readonly #strangers = new Fifo<Waiting>();
  /** Datagrams that wait, by the IKE SA they name. */
  readonly #byOwner = new Map<number, number>();
  #datagrams = 0;
  #sinceStranger = 0;

  get length(): number {
    return this.#inputs.length + this.#strangers.length;
  }

  /** Share of the room for strangers that is taken. */
  get crowding(): number {
    return this.#strangers.length / QUEUE_LIMITS.ofStrangers;
  }

  push(input: Input): void {
    this.#inputs.push({ input, owner: undefined });
  }

  /** False when there is no room for a datagram that names the IKE SA `owner`. */
  offer(input: Input, owner: number): boolean {
    const waiting = this.#byOwner.get(owner) ?? 0;
    if (this.#datagrams >= QUEUE_LIMITS.datagrams || waiting >= QUEUE_LIMITS.ofOneSa) return false;
    this.#byOwner.set(owner, waiting + 1);
    this.#datagrams++;
    this.#inputs.push({ input, owner });
    return true;
  }

  /** The same for a datagram that names none. */
  offerStranger(input: Input): boolean {
    if (this.#strangers.length >= QUEUE_LIMITS.ofStrangers) return false;
    this.#strangers.push({ input, owner: undefined });
    return true;
  }

  shift(): Waiting | undefined {
    if (this.#sinceStranger >= STRANGER_EVERY || this.#inputs.length === 0) {
      this.#sinceStranger = 0;
      const stranger = this.#strangers.shift();
      if (stranger) return stranger;
    }
    this.#sinceStranger++;
    const next = this.#inputs.shift();
    if (next?.owner !== undefined) this.#release(next.owner);
    return next;
  }

  #release(owner: number): void {
    this.#datagrams--;
    const rest = (this.#byOwner.get(owner) ?? 1) - 1;
    if (rest > 0) this.#byOwner.set(owner, rest);
    else this.#byOwner.delete(owner);
  }
}
