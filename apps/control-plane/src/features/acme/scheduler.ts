import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from "@nestjs/common";
import { CONFIG, type Config } from "../../platform/config/config.js";
import { Database } from "../../platform/database/database.js";
import { LOG, type Log } from "../../platform/log/log.js";
import { Outbox } from "../../platform/outbox/outbox.js";
import { Periodic } from "../../platform/periodic.js";
import { HANDED_OVER_MS } from "./certificate.service.js";
import { ADVANCE_ORDER } from "./jobs.js";

const EVERY_MS = 5_000;
const BATCH = 50;

interface Due {
  readonly id: string;
  readonly organizationId: string;
}

/** Hands orders to the queue whose time has come. */
@Injectable()
export class AcmeScheduler implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #periodic: Periodic;

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOG) log: Log,
    private readonly database: Database,
    private readonly outbox: Outbox,
  ) {
    this.#periodic = new Periodic(async () => void (await this.run()), log);
  }

  onApplicationBootstrap(): void {
    if (this.config.roles.has("jobs")) this.#periodic.start(EVERY_MS, EVERY_MS);
  }

  onApplicationShutdown(): Promise<void> {
    return this.#periodic.stop();
  }

  /** Replicas may do it at the same time. Gives how many orders were handed over. */
  async run(now = new Date()): Promise<number> {
    const later = new Date(now.getTime() + HANDED_OVER_MS);
    const due = await this.database.transaction(async (tx) => {
      const rows = await tx.$queryRaw<Due[]>`
        UPDATE acme_orders SET due_at = ${later}
        WHERE id IN (SELECT id FROM acme_orders WHERE due_at <= ${now} ORDER BY due_at LIMIT ${BATCH} FOR UPDATE SKIP LOCKED)
        RETURNING id::text AS id, organization_id::text AS "organizationId"`;
      for (const { id, organizationId } of rows) {
        await this.outbox.add(tx, organizationId, ADVANCE_ORDER, { orderId: id });
      }
      return rows;
    });
    if (due.length > 0) this.outbox.wake();
    return due.length;
  }
}
