import type { Millis, TimerId } from "@sallyport/ike";

/** setTimeout's limit; a timer further off is armed again in steps. */
const MAX_DELAY = 2 ** 31 - 1;

/** The engine's timers: one each id, fires once. */
export class Timers {
  readonly #armed = new Map<TimerId, NodeJS.Timeout>();

  constructor(
    private readonly now: () => Millis,
    private readonly due: (timer: TimerId) => void,
  ) {}

  arm(timer: TimerId, at: Millis): void {
    this.disarm(timer);
    const delay = Math.max(0, Math.ceil(at - this.now()));
    const handle = setTimeout(
      () => {
        this.#armed.delete(timer);
        if (this.now() < at) this.arm(timer, at);
        else this.due(timer);
      },
      Math.min(delay, MAX_DELAY),
    );
    this.#armed.set(timer, handle);
  }

  disarm(timer: TimerId): void {
    clearTimeout(this.#armed.get(timer));
    this.#armed.delete(timer);
  }

  clear(): void {
    for (const handle of this.#armed.values()) clearTimeout(handle);
    this.#armed.clear();
  }
}
