import {
  Inject,
  Injectable,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleInit,
} from "@nestjs/common";
import { CONFIG, type Config } from "../../platform/config/config.js";
import { LOG, type Log } from "../../platform/log/log.js";
import { Periodic } from "../../platform/periodic.js";
import { RollupStore } from "./rollup.store.js";
import { floorTo, later, STEPS } from "./steps.js";

const EVERY_MS = 15_000;
/** After a sample's end, counters that came in it may still be on their way to the database. */
const GRACE_S = 30;

/** Keeps the samples of tunnels: makes room for them, fills gaps, rolls them up and drops the old ones. Replicas may do it at the same time. */
@Injectable()
export class HistoryKeeper implements OnModuleInit, OnApplicationBootstrap, OnApplicationShutdown {
  readonly #periodic: Periodic;
  #filled = new Date(0);

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOG) private readonly log: Log,
    private readonly store: RollupStore,
  ) {
    this.#periodic = new Periodic(() => (config.roles.has("jobs") ? this.tick(new Date()) : this.onModuleInit()), log);
  }

  /** Reports of agents need somewhere to go. */
  async onModuleInit(): Promise<void> {
    await this.store.makePartitions(new Date());
  }

  onApplicationBootstrap(): void {
    this.#periodic.start(EVERY_MS, EVERY_MS);
  }

  onApplicationShutdown(): Promise<void> {
    return this.#periodic.stop();
  }

  async tick(now: Date): Promise<void> {
    await this.store.makePartitions(now);
    const minute = later(floorTo(later(now, -GRACE_S), 60), -60);
    if (minute > this.#filled) await this.store.fill(minute);
    this.#filled = minute;
    await this.#rollUp(now);
    const over = await this.store.dropPartitions(
      (step, end) => end < later(now, -step.keptSeconds(this.config.history)),
    );
    if (over.length > 0) this.log.info({ over }, "old samples of tunnels dropped");
  }

  /** Also of what was not done while no replica was there for it. Coarser samples need all the finer ones: who is not alone leaves both. */
  async #rollUp(now: Date): Promise<void> {
    for (const step of STEPS) {
      if (step.from === undefined) continue;
      while (!this.#periodic.stopped) {
        const at = await this.store.nextOf(step);
        if (at === undefined || later(at, step.seconds + step.from + 2 * GRACE_S) > now) break;
        if (!(await this.store.rollUp(step, at))) return;
      }
    }
  }
}
