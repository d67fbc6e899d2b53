/** What one stream still has to send: bounded, in order, read by one reader. */
export class MessageQueue<T> implements AsyncIterable<T> {
  readonly #items: T[] = [];
  #closed = false;
  #wake: (() => void) | undefined;

  constructor(private readonly capacity: number) {}

  /** False when the reader is too slow: nothing is queued then. */
  push(item: T): boolean {
    if (this.#closed || this.#items.length >= this.capacity) return false;
    this.#items.push(item);
    this.#wake?.();
    return true;
  }

  /** What is queued is still read, and then `last`, which has room in any case. */
  close(last?: T): void {
    if (last !== undefined && !this.#closed) this.#items.push(last);
    this.#closed = true;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncIterator<T> {
    for (;;) {
      const item = this.#items.shift();
      if (item !== undefined) yield item;
      else if (this.#closed) return;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
      }
    }
  }
}

/** Lets `burst` through at once and `perSecond` in the long run. Times in milliseconds of a monotonic clock. */
export class TokenBucket {
  #tokens: number;
  #at: number;

  constructor(
    private readonly burst: number,
    private readonly perSecond: number,
    now: number,
  ) {
    this.#tokens = burst;
    this.#at = now;
  }

  take(now: number): boolean {
    return this.takeUpTo(1, now) === 1;
  }

  /** Lets one through and gives 0, or gives the milliseconds after which it may be tried again. */
  wait(now: number): number {
    return this.take(now) ? 0 : Math.ceil(((1 - this.#tokens) * 1000) / this.perSecond);
  }

  /** How many of `wanted` get through. */
  takeUpTo(wanted: number, now: number): number {
    this.#tokens = Math.min(this.burst, this.#tokens + ((now - this.#at) / 1000) * this.perSecond);
    this.#at = now;
    const given = Math.min(wanted, Math.floor(this.#tokens));
    this.#tokens -= given;
    return given;
  }
}
