/** Times in milliseconds. An attempt that nothing answers ends after `attempt`. */
export const RECONNECT = { first: 100, factor: 1.8, max: 2_000, attempt: 2_500 } as const;

/**
 * How long to wait before the next attempt. Quick at first; never so long that a control plane that came back is without its agents
 * for 5 seconds (`max + attempt`). Half of each wait is random, so that a fleet does not come in one moment.
 */
export class Backoff {
  #tries = 0;

  constructor(private readonly random: () => number = Math.random) {}

  next(): number {
    const wait = Math.min(RECONNECT.first * RECONNECT.factor ** this.#tries, RECONNECT.max);
    if (wait < RECONNECT.max) this.#tries++;
    return wait * (0.5 + this.random() / 2);
  }

  reset(): void {
    this.#tries = 0;
  }
}
