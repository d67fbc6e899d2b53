import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from "@nestjs/common";
import { WakeUpBus } from "./bus/bus.js";
import { CONFIG, type Config } from "./config/config.js";
import { Database } from "./database/database.js";
import { Readiness } from "./health/readiness.js";
import { Jobs } from "./outbox/jobs.js";
import { Relay } from "./outbox/relay.js";
import { JobQueue } from "./queue/job-queue.js";

/** Opens what the platform holds before the features start, and closes it after them, in order. */
@Injectable()
export class Lifecycle implements OnApplicationBootstrap, OnApplicationShutdown {
  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly database: Database,
    private readonly bus: WakeUpBus,
    private readonly queue: JobQueue,
    private readonly jobs: Jobs,
    private readonly relay: Relay,
    private readonly readiness: Readiness,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    await Promise.all([this.bus.open(), this.queue.open()]);
    if (this.config.roles.has("jobs")) await this.jobs.start();
    // Whoever commits a change owes its jobs, so every replica relays.
    this.relay.start();
    this.readiness.started();
  }

  async onApplicationShutdown(): Promise<void> {
    this.readiness.stopping();
    await this.relay.stop();
    await this.queue.close();
    await this.bus.close();
    await this.database.close();
  }
}
