import {
  Inject,
  Injectable,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleInit,
} from "@nestjs/common";
import { isFault } from "@sallyport/base";
import { CONFIG, type Config } from "../../platform/config/config.js";
import { Database } from "../../platform/database/database.js";
import { LOG, type Log } from "../../platform/log/log.js";
import type { JobContext, JobRunner } from "../../platform/outbox/job.js";
import { Jobs } from "../../platform/outbox/jobs.js";
import { Outbox } from "../../platform/outbox/outbox.js";
import { Periodic } from "../../platform/periodic.js";
import { EventService } from "../events/event.service.js";
import { DnsRecordService } from "./dns-record.service.js";
import { REMOVE_RECORD, type RemoveRecord } from "./jobs.js";

const EVERY_MS = 5_000;
const BATCH = 50;
/** A removal that was handed to the queue is looked at again after so long, in case the queue lost it. */
const HANDED_OVER_MS = 120_000;
/** Pause after the first failed removal; it doubles, up to the most. */
const RETRY_MS = { first: 10_000, most: 6 * 3_600_000 } as const;
/** Operators are told when so many have failed. */
const TOLD_AFTER = 5;

interface Due {
  readonly id: string;
  readonly organizationId: string;
}

/** Removes records whose orders are over, or gone, until it is done. */
@Injectable()
export class RecordJob implements JobRunner<RemoveRecord>, OnModuleInit, OnApplicationBootstrap, OnApplicationShutdown {
  readonly type = REMOVE_RECORD;
  readonly #periodic: Periodic;

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOG) private readonly log: Log,
    private readonly database: Database,
    private readonly records: DnsRecordService,
    private readonly events: EventService,
    private readonly outbox: Outbox,
    private readonly jobs: Jobs,
  ) {
    this.#periodic = new Periodic(async () => void (await this.tick()), log);
  }

  onModuleInit(): void {
    this.jobs.register(this);
  }

  onApplicationBootstrap(): void {
    if (this.config.roles.has("jobs")) this.#periodic.start(EVERY_MS, EVERY_MS);
  }

  onApplicationShutdown(): Promise<void> {
    return this.#periodic.stop();
  }

  /** Replicas may do it at the same time. Gives how many removals were handed over. */
  async tick(now = new Date()): Promise<number> {
    const later = new Date(now.getTime() + HANDED_OVER_MS);
    const due = await this.database.transaction(async (tx) => {
      const rows = await tx.$queryRaw<Due[]>`
        UPDATE dns_records SET due_at = ${later}
        WHERE id IN (
          SELECT r.id FROM dns_records r LEFT JOIN acme_orders o ON o.id = r.order_id AND o.organization_id = r.organization_id
          WHERE r.due_at <= ${now} AND (o.id IS NULL OR o.finished_at IS NOT NULL)
          ORDER BY r.due_at LIMIT ${BATCH} FOR UPDATE OF r SKIP LOCKED)
        RETURNING id::text AS id, organization_id::text AS "organizationId"`;
      for (const { id, organizationId } of rows) {
        await this.outbox.add(tx, organizationId, REMOVE_RECORD, { recordId: id });
      }
      return rows;
    });
    if (due.length > 0) this.outbox.wake();
    return due.length;
  }

  async run({ recordId }: RemoveRecord, { organizationId }: JobContext): Promise<void> {
    const record = await this.records.one(organizationId, recordId);
    if (record === undefined) return;
    try {
      await this.records.remove(record);
    } catch (error) {
      await this.#failed(record, error);
    }
  }

  async #failed(record: NonNullable<Awaited<ReturnType<DnsRecordService["one"]>>>, error: unknown): Promise<void> {
    const { organizationId, id, name, zone } = record;
    this.log.warn({ err: error, record: id, name }, "a record could not be removed");
    const attempts = record.attempts + 1;
    const pause = Math.min(RETRY_MS.first * 2 ** record.attempts, RETRY_MS.most);
    await this.database.transaction(async (tx) => {
      const data = { attempts, dueAt: new Date(Date.now() + pause) };
      const where = { organizationId, id, attempts: record.attempts };
      const { count } = await tx.dnsRecord.updateMany({ where, data });
      if (count === 0 || attempts !== TOLD_AFTER) return;
      const why = isFault(error) && error.policy.expose ? error.message : "the log says more";
      await this.events.record(tx, organizationId, {
        kind: "dns/record-left",
        severity: "WARNING",
        message: `a record that nobody needs any more is left at ${name}: ${why}`,
        facts: { zone: zone.name, ...(isFault(error) && { code: error.code }) },
      });
    });
  }
}
