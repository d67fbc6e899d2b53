import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from "@nestjs/common";
import { CONFIG, type Config } from "../../platform/config/config.js";
import { LOG, type Log } from "../../platform/log/log.js";
import { Periodic } from "../../platform/periodic.js";
import { RetentionStore } from "./retention.store.js";

export interface RetentionLimits {
  /** Events, revocations that matter no more, and foreign certificates after their end. */
  readonly eventDays: number;
  /** Of one organization. */
  readonly events: number;
  /** Of one gateway, besides those that it has in force or may go back to. */
  readonly revisions: number;
  /** After their end. */
  readonly leaseDays: number;
  /** That ended, of one organization. */
  readonly leases: number;
  /** Rotations and rollouts, after their end. */
  readonly rotationDays: number;
  /** That are over, of one organization. */
  readonly rotations: number;
  /** After they were resolved. */
  readonly alertDays: number;
  readonly rollouts: number;
}

const NOTHING = {
  ...{ events: 0, revisions: 0, revocations: 0, certificates: 0, leases: 0 },
  ...{ rotations: 0, rollouts: 0, alerts: 0 },
};
type Gone = typeof NOTHING;

const LIMITS: RetentionLimits = {
  ...{ eventDays: 30, events: 200_000, revisions: 100, leaseDays: 90, leases: 500_000 },
  ...{ rotationDays: 365, rotations: 2_000, rollouts: 2_000, alertDays: 90 },
};

const FIRST_MS = 60_000;
const EVERY_MS = 3_600_000;
const DAY_MS = 86_400_000;
/** Rows that one statement deletes, so that nobody waits for it. */
const BATCH = 2_000;
/** Each has a history of many rows. */
const ROTATIONS = 10;

/** Deletes what nobody needs any more. Replicas may do it at the same time, and as often as they like. */
@Injectable()
export class RetentionService implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #periodic: Periodic;

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOG) log: Log,
    private readonly store: RetentionStore,
  ) {
    this.#periodic = new Periodic(async () => {
      log.info(
        await this.run(LIMITS),
        "old events, revisions, revocations, certificates, leases, rotations, rollouts and alerts deleted",
      );
    }, log);
  }

  onApplicationBootstrap(): void {
    if (this.config.roles.has("jobs")) this.#periodic.start(FIRST_MS, EVERY_MS);
  }

  onApplicationShutdown(): Promise<void> {
    return this.#periodic.stop();
  }

  /** Gives how many rows went. */
  async run(limits: RetentionLimits, now = Date.now()): Promise<Gone> {
    const gone: Gone = { ...NOTHING };
    const ended = new Date(now - limits.leaseDays * DAY_MS);
    const over = new Date(now - limits.rotationDays * DAY_MS);
    const before = new Date(now - limits.eventDays * DAY_MS);
    const resolved = new Date(now - limits.alertDays * DAY_MS);
    for (const id of await this.store.organizations()) {
      gone.events += await this.#all(() => this.store.deleteEvents(id, { before, keep: limits.events, batch: BATCH }));
      gone.revisions += await this.#all(() => this.store.deleteRevisions(id, { keep: limits.revisions, batch: BATCH }));
      gone.revocations += await this.#all(() => this.store.deleteRevocations(id, { before, batch: BATCH }));
      gone.certificates += await this.#all(() => this.store.deleteSeenCertificates(id, { before, batch: BATCH }));
      gone.leases += await this.#all(() =>
        this.store.deleteLeases(id, { before: ended, keep: limits.leases, batch: BATCH }),
      );
      gone.rotations += await this.#all(
        () => this.store.deleteRotations(id, { before: over, keep: limits.rotations, batch: ROTATIONS }),
        ROTATIONS,
      );
      gone.alerts += await this.#all(() => this.store.deleteAlerts(id, { before: resolved, batch: BATCH }));
      gone.rollouts += await this.#all(
        () => this.store.deleteRollouts(id, { before: over, keep: limits.rollouts, batch: ROTATIONS }),
        ROTATIONS,
      );
    }
    return gone;
  }

  async #all(deleteSome: () => Promise<number>, batch = BATCH): Promise<number> {
    let all = 0;
    while (!this.#periodic.stopped) {
      const some = await deleteSome();
      all += some;
      if (some < batch) break;
    }
    return all;
  }
}
