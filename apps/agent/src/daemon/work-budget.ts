/** Milliseconds over which work is counted, and how much of it one IKE SA and all strangers together may take. */
const WINDOW_MS = 100;
const SHARE_MS = { sa: 50, strangers: 90 } as const;
/** What takes longer was interrupted by other programs: nobody's datagram is to blame. */
const MOST_MS = 2;

/**
 * How much of the engine's time datagrams may take by who sent them: an IKE SA by its number, or strangers. Who has used up his
 * share is not heard before the next window, so that the others are (hostile input 21).
 */
export class WorkBudget {
  #began = Number.NEGATIVE_INFINITY;
  #strangers = 0;
  /** Of those that worked in this window. */
  readonly #bySa = new Map<number, number>();

  /** `owner` undefined: a stranger. */
  allows(now: number, owner: number | undefined): boolean {
    this.#turn(now);
    if (owner === undefined) return this.#strangers < SHARE_MS.strangers;
    return (this.#bySa.get(owner) ?? 0) < SHARE_MS.sa;
  }

  spent(owner: number | undefined, took: number): void {
    const ms = Math.min(took, MOST_MS);
    if (owner === undefined) this.#strangers += ms;
    else this.#bySa.set(owner, (this.#bySa.get(owner) ?? 0) + ms);
  }

  #turn(now: number): void {
    if (now - this.#began < WINDOW_MS) return;
    this.#began = now;
    this.#strangers = 0;
    this.#bySa.clear();
  }
}
