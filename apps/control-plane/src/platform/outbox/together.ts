/** Runs that never overlap, by a key, of which one at most waits to begin. */
export class Together {
  readonly #last = new Map<string, Promise<void>>();
  readonly #waiting = new Set<string>();

  /**
   * Undefined when a run waits already: it will see whatever the caller has seen. Else resolves, or rejects, with `work`, which begins
   * when what runs has ended.
   */
  run(key: string, work: () => Promise<void>): Promise<void> | undefined {
    if (this.#waiting.has(key)) return undefined;
    const before = this.#last.get(key) ?? Promise.resolve();
    this.#waiting.add(key);
    const mine = before
      .catch(() => undefined)
      .then(() => {
        this.#waiting.delete(key);
        return work();
      })
      .finally(() => {
        if (this.#last.get(key) === mine) this.#last.delete(key);
      });
    this.#last.set(key, mine);
    return mine;
  }
}
