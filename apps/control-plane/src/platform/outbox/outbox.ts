import { Inject, Injectable } from "@nestjs/common";
import { WakeUpBus } from "../bus/bus.js";
import type { Tx } from "../database/database.js";
import { LOG, type Log } from "../log/log.js";
import type { JobType } from "./job.js";

/** Work that a change owes, written down in the change's own transaction. */
@Injectable()
export class Outbox {
  constructor(
    private readonly bus: WakeUpBus,
    @Inject(LOG) private readonly log: Log,
  ) {}

  async add<P extends object>(tx: Tx, organizationId: string, type: JobType<P>, payload: P): Promise<void> {
    await tx.outbox.create({
      data: { organizationId, job: type.name, payload: payload as object },
      select: { id: true },
    });
  }

  /** Call it after the commit. Without it the relay finds the rows all the same, a moment later. */
  wake(): void {
    this.bus.publish("outbox", {}).catch((err: unknown) => this.log.warn({ err }, "the outbox relay was not woken"));
  }
}
