import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from "@nestjs/common";
import { isFault } from "@sallyport/base";
import { CONFIG, type Config } from "../../platform/config/config.js";
import { Database, type Tx } from "../../platform/database/database.js";
import { ANY_ORGANIZATION } from "../../platform/database/tenancy-guard.js";
import { LOG, type Log } from "../../platform/log/log.js";
import { Periodic } from "../../platform/periodic.js";
import type { RotationSchedule } from "../../platform/prisma/generated/client.js";
import { systemContext } from "../../platform/tenancy.js";
import { EventService } from "../events/event.service.js";
import { shownWindow, windowOf } from "../maintenance/window.js";
import { fault } from "./faults.js";
import { Rotatables } from "./rotatables.js";
import { nextTime } from "./rotation-schedule.service.js";

const EVERY_MS = 30_000;
/** Schedules of one turn. */
const BATCH = 50;

/** Begins the rotations whose time has come. Replicas may do it at the same time: one of them begins each. */
@Injectable()
export class RotationScheduler implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #periodic: Periodic;

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOG) private readonly log: Log,
    private readonly database: Database,
    private readonly rotatables: Rotatables,
    private readonly events: EventService,
  ) {
    this.#periodic = new Periodic(async () => void (await this.run()), log);
  }

  onApplicationBootstrap(): void {
    if (this.config.roles.has("jobs")) this.#periodic.start(EVERY_MS, EVERY_MS);
  }

  onApplicationShutdown(): Promise<void> {
    return this.#periodic.stop();
  }

  /** Gives how many rotations were begun. */
  async run(now = new Date()): Promise<number> {
    const due = await this.database.client.rotationSchedule.findMany({
      where: { organizationId: ANY_ORGANIZATION, nextAt: { lte: now } },
      orderBy: { nextAt: "asc" },
      take: BATCH,
    });
    let begun = 0;
    for (const schedule of due) {
      try {
        if (await this.#begin(schedule, now)) begun++;
      } catch (err) {
        this.log.warn(
          { err, schedule: schedule.id },
          "a scheduled rotation could not be begun; it will be tried again",
        );
      }
    }
    return begun;
  }

  /** The turn is taken in the transaction that begins the rotation, so that there is one, once. */
  async #begin(schedule: RotationSchedule, now: Date): Promise<boolean> {
    const { organizationId, kind, batch, patience: patienceSeconds, requestedBy } = schedule;
    const window = windowOf(schedule);
    const input = {
      ...{ batch, patienceSeconds, hold: false },
      ...(window && { window: shownWindow(window) }),
      first: (tx: Tx) => take(tx, schedule, now),
    };
    try {
      await this.rotatables.begin(systemContext(organizationId, `schedule of ${requestedBy}`), kind, input);
      return true;
    } catch (error) {
      if (isFault(error, "rotation/overtaken")) return false;
      if (!isFault(error) || error.policy.retry) throw error;
      await this.database.transaction(async (tx) => {
        await take(tx, schedule, now);
        if (error.code === "rotation/nothing-to-do") return;
        await this.events.record(tx, organizationId, {
          kind: "rotation/not-begun",
          severity: "WARNING",
          message: `a scheduled rotation was not begun: ${error.message}`,
          facts: { schedule: schedule.id, kind, code: error.code },
        });
      });
      return false;
    }
  }
}

/** @throws rotation/overtaken when another replica was faster, or an operator deleted it */
async function take(tx: Tx, { organizationId, id, nextAt, everyDays }: RotationSchedule, now: Date): Promise<void> {
  const where = { organizationId, id, nextAt };
  const { count } = await tx.rotationSchedule.updateMany({
    where,
    data: { nextAt: nextTime(nextAt, everyDays, now) },
  });
  if (count === 0) throw fault("rotation/overtaken", "the schedule's turn was taken");
}
