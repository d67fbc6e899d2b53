import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from "@nestjs/common";
import { CONFIG, type Config } from "../../platform/config/config.js";
import { Database } from "../../platform/database/database.js";
import { LOG, type Log } from "../../platform/log/log.js";
import { Outbox } from "../../platform/outbox/outbox.js";
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
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOG) private readonly log: Log,
    private readonly database: Database,
    private readonly outbox: Outbox,
  ) {}

  onApplicationBootstrap(): void {
    if (this.config.roles.has("jobs")) this.#later();
  }

  async onApplicationShutdown(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#running;
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

  #later(): void {
    this.#timer = setTimeout(() => {
      this.#running = this.run().then(
        () => undefined,
        (err: unknown) =>
          this.log.warn({ err }, "orders that are due could not be handed over; it will be tried again"),
      );
      void this.#running.finally(() => {
        if (!this.#stopped) this.#later();
      });
    }, EVERY_MS).unref();
  }
}
