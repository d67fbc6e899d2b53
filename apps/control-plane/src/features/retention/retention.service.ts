import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from "@nestjs/common";
import { CONFIG, type Config } from "../../platform/config/config.js";
import { LOG, type Log } from "../../platform/log/log.js";
import { RetentionStore } from "./retention.store.js";

export interface RetentionLimits {
  readonly eventDays: number;
  /** Of one organization. */
  readonly events: number;
  /** Of one gateway, besides those that it has in force or may go back to. */
  readonly revisions: number;
}

const LIMITS: RetentionLimits = { eventDays: 30, events: 200_000, revisions: 100 };

const FIRST_MS = 60_000;
const EVERY_MS = 3_600_000;
const DAY_MS = 86_400_000;
/** Rows that one statement deletes, so that nobody waits for it. */
const BATCH = 2_000;

/** Deletes what nobody needs any more. Replicas may do it at the same time, and as often as they like. */
@Injectable()
export class RetentionService implements OnApplicationBootstrap, OnApplicationShutdown {
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOG) private readonly log: Log,
    private readonly store: RetentionStore,
  ) {}

  onApplicationBootstrap(): void {
    if (this.config.roles.has("jobs")) this.#later(FIRST_MS);
  }

  async onApplicationShutdown(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  /** Gives how many rows went. */
  async run(limits: RetentionLimits, now = Date.now()): Promise<{ events: number; revisions: number }> {
    const gone = { events: 0, revisions: 0 };
    const before = new Date(now - limits.eventDays * DAY_MS);
    for (const id of await this.store.organizations()) {
      gone.events += await this.#all(() => this.store.deleteEvents(id, { before, keep: limits.events, batch: BATCH }));
      gone.revisions += await this.#all(() => this.store.deleteRevisions(id, { keep: limits.revisions, batch: BATCH }));
    }
    return gone;
  }

  async #all(deleteSome: () => Promise<number>): Promise<number> {
    let all = 0;
    while (!this.#stopped) {
      const some = await deleteSome();
      all += some;
      if (some < BATCH) break;
    }
    return all;
  }

  #later(ms: number): void {
    this.#timer = setTimeout(() => {
      this.#running = this.run(LIMITS).then(
        (gone) => this.log.info(gone, "old events and revisions deleted"),
        (err: unknown) => this.log.warn({ err }, "old rows could not be deleted; it will be tried again"),
      );
      void this.#running.finally(() => {
        if (!this.#stopped) this.#later(EVERY_MS);
      });
    }, ms).unref();
  }
}
