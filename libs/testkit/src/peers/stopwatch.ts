const TICK_MS = 20;
/** Longer than a scheduler with something better to do keeps a program waiting that is idle but for its ticks. */
const STANDSTILL_MS = 500;

/**
 * Milliseconds that something takes, less the time in which the machine stood still. Others that share its processors can keep all of its
 * programs from running for seconds; in such a time nobody is quick or slow, and a figure that has it tells nothing of what is measured.
 */
export class Stopwatch {
  readonly #now: () => number;
  readonly #began: number;
  readonly #ticking: NodeJS.Timeout;
  #ticked: number;
  #still = 0;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#began = now();
    this.#ticked = this.#began;
    this.#ticking = setInterval(() => this.tick(), TICK_MS);
    this.#ticking.unref();
  }

  private tick(): void {
    const now = this.#now();
    if (now - this.#ticked > STANDSTILL_MS) this.#still += now - this.#ticked - TICK_MS;
    this.#ticked = now;
  }

  /** Ends the measurement and gives it. */
  stop(): number {
    clearInterval(this.#ticking);
    this.tick();
    return this.#now() - this.#began - this.#still;
  }
}
