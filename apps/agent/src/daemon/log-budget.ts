/** Lines that may come at once, and how many a second after that. */
export const LOG_LIMITS = { peer: { burst: 200, perSecond: 10 }, all: { burst: 1_000, perSecond: 50 } } as const;

type Limit = (typeof LOG_LIMITS)[keyof typeof LOG_LIMITS];

class Bucket {
  suppressed = 0;
  #tokens: number;
  #at: number;

  constructor(
    private readonly limit: Limit,
    now: number,
  ) {
    this.#tokens = limit.burst;
    this.#at = now;
  }

  has(now: number): boolean {
    this.#tokens = Math.min(this.limit.burst, this.#tokens + ((now - this.#at) / 1000) * this.limit.perSecond);
    this.#at = now;
    return this.#tokens >= 1;
  }

  take(): void {
    this.#tokens--;
  }
}

/**
 * How many lines events may put into the log, by the peer they are about: nobody who talks to the gateway can fill the disk or push
 * out what others did (hostile input 21). All that is about no known peer shares one allowance.
 */
export class LogBudget {
  readonly #all: Bucket;
  readonly #byPeer = new Map<string, Bucket>();

  constructor(private readonly now: () => number) {
    this.#all = new Bucket(LOG_LIMITS.all, now());
  }

  /** How many lines about this peer were left out since its last one; undefined when this one is to be left out, too. */
  take(peer: string | undefined): number | undefined {
    const now = this.now();
    const bucket = this.#of(peer ?? "", now);
    if (!bucket.has(now) || !this.#all.has(now)) {
      bucket.suppressed++;
      return undefined;
    }
    bucket.take();
    this.#all.take();
    const { suppressed } = bucket;
    bucket.suppressed = 0;
    return suppressed;
  }

  /** Peers come from the intent, so there are as many as it ever named. */
  #of(peer: string, now: number): Bucket {
    const known = this.#byPeer.get(peer);
    if (known) return known;
    const made = new Bucket(LOG_LIMITS.peer, now);
    this.#byPeer.set(peer, made);
    return made;
  }
}
