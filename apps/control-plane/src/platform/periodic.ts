import type { Log } from "./log/log.js";

/** Work that is done again and again, never twice at a time, in every replica that has the role for it. What fails is tried again. */
export class Periodic {
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(
    private readonly work: () => Promise<void>,
    private readonly log: Log,
  ) {}

  /** Whether work that takes long shall come to its end. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** Milliseconds until the first time, and from the end of one to the beginning of the next. */
  start(firstMs: number, everyMs: number): void {
    this.#timer = setTimeout(() => {
      this.#running = this.work().catch((err: unknown) => {
        this.log.warn({ err }, "periodic work failed; it will be tried again");
      });
      void this.#running.then(() => {
        if (!this.#stopped) this.start(everyMs, everyMs);
      });
    }, firstMs).unref();
  }

  /** Waits for what runs. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#running;
  }
}
