import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from "@nestjs/common";
import { WakeUpBus } from "./bus/bus.js";
import { CONFIG, type Config } from "./config/config.js";
import { Database } from "./database/database.js";
import { Readiness } from "./health/readiness.js";
import { LOG, type Log } from "./log/log.js";
import { Jobs } from "./outbox/jobs.js";
import { Relay } from "./outbox/relay.js";
import { JobQueue } from "./queue/job-queue.js";

const LONGEST_PAUSE_MS = 5_000;

/** Opens what the platform holds when the features stand, and closes it after them, in order. */
@Injectable()
export class Lifecycle implements OnApplicationBootstrap, OnApplicationShutdown {
  #queue: Promise<void> | undefined;
  #closing = false;
  #wake: (() => void) | undefined;

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOG) private readonly log: Log,
    private readonly database: Database,
    private readonly bus: WakeUpBus,
    private readonly queue: JobQueue,
    private readonly jobs: Jobs,
    private readonly relay: Relay,
    private readonly readiness: Readiness,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    this.jobs.check();
    await this.bus.open();
    // Requests need no queue: what they owe waits in the outbox. So they wait neither for its driver nor for a Redis that is away.
    this.#queue = this.#openQueue();
    this.readiness.started();
  }

  async onApplicationShutdown(): Promise<void> {
    this.#closing = true;
    this.#wake?.();
    this.readiness.stopping();
    await this.#queue;
    await this.relay.stop();
    await this.queue.close();
    await this.bus.close();
    await this.database.close();
  }

  async #openQueue(): Promise<void> {
    for (let pause = 100; !this.#closing; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      try {
        await this.queue.open();
        if (this.config.roles.has("jobs")) await this.jobs.start();
        // Whoever commits a change owes its jobs, so every replica relays.
        this.relay.start();
        return;
      } catch (err) {
        this.log.error({ err }, "the job queue cannot be opened");
        await this.queue.close().catch(() => {});
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
          setTimeout(resolve, pause);
        });
      }
    }
  }
}
