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
