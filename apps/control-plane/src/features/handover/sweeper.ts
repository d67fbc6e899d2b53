import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from "@nestjs/common";
import { CONFIG, type Config } from "../../platform/config/config.js";
import { LOG, type Log } from "../../platform/log/log.js";
import { Periodic } from "../../platform/periodic.js";
import { systemContext } from "../../platform/tenancy.js";
import { HandoverService } from "./handover.service.js";
import { HandoverStore } from "./handover.store.js";

const EVERY_MS = 60_000;
const BATCH = 100;

/** Wipes keys that nobody collected in time, and files whose time is over. Replicas may do it at the same time. */
@Injectable()
export class HandoverSweeper implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #periodic: Periodic;

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOG) log: Log,
    private readonly store: HandoverStore,
    private readonly handovers: HandoverService,
  ) {
    this.#periodic = new Periodic(async () => {
      const wiped = await this.run();
      if (wiped.keys + wiped.files > 0) log.info(wiped, "what nobody collected in time is wiped");
    }, log);
  }

  onApplicationBootstrap(): void {
    if (this.config.roles.has("jobs")) this.#periodic.start(EVERY_MS, EVERY_MS);
  }

  onApplicationShutdown(): Promise<void> {
    return this.#periodic.stop();
  }

  /** Gives how many were wiped. */
  async run(now = new Date()): Promise<{ keys: number; files: number }> {
    let keys = 0;
    for (let some = BATCH; some === BATCH && !this.#periodic.stopped; keys += some) {
      const overdue = await this.store.overdue(now, BATCH);
      for (const { id, organizationId } of overdue) {
        await this.handovers.expire(systemContext(organizationId, "handover-sweeper"), id, now);
      }
      some = overdue.length;
    }
    return { keys, files: await this.store.wipeOldFiles(now) };
  }
}
