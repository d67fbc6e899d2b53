import type { Log } from "./log/log.js";

/** Does work for those that were named, each once for all the times that it was named within a while, one after the other. What fails is left. */
export class Gathered {
  readonly #named = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(
    private readonly work: (name: string) => Promise<void>,
    private readonly gatherMs: number,
    private readonly log: Log,
  ) {}

  add(name: string): void {
    this.#named.add(name);
    this.#arm();
  }

  /** Waits for what runs. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  #arm(): void {
    if (this.#stopped || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#running = this.#run().finally(() => {
        this.#timer = undefined;
        if (this.#named.size > 0) this.#arm();
      });
    }, this.gatherMs).unref();
  }

  async #run(): Promise<void> {
    const names = [...this.#named];
    this.#named.clear();
    for (const name of names) {
      if (this.#stopped) return;
      await this.work(name).catch((err: unknown) => this.log.warn({ err, name }, "what was told was not looked at"));
    }
  }
}
