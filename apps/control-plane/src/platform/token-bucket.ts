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
