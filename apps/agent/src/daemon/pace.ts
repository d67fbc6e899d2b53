/** Work that is repeated rests this many times as long as it took: it takes no more than a twentieth of the time. */
const REST = 19;

/** How long to wait before work that grows with what there is – a report over all SAs – is done again. */
export class Pace {
  #pause: number;

  /** `least`: milliseconds of rest after work that takes no time to speak of. `spent`: milliseconds of work so far. */
  constructor(
    private readonly least: number,
    private readonly spent: () => number,
  ) {
    this.#pause = least;
  }

  /** Milliseconds. */
  get pause(): number {
    return this.#pause;
  }

  async do<T>(work: () => T | Promise<T>): Promise<T> {
    const before = this.spent();
    try {
      return await work();
    } finally {
      this.#pause = Math.max(this.least, REST * (this.spent() - before));
    }
  }
}
