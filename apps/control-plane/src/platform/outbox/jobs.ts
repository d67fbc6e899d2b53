import { Inject, Injectable } from "@nestjs/common";
import { Database } from "../database/database.js";
import { ANY_ORGANIZATION } from "../database/tenancy-guard.js";
import { fault } from "../faults.js";
import { LOG, type Log } from "../log/log.js";
import type { Outbox } from "../prisma/generated/client.js";
import { JobQueue, type QueuedJob } from "../queue/job-queue.js";
import type { JobRunner, JobType } from "./job.js";
import { Together } from "./together.js";

const CONCURRENCY = 8;

/** Every kind of job that anything enqueues, so that the start can refuse one that nobody does. */
const TYPES = new Map<string, JobType<never>>();

/** Declares a kind of job. */
export function jobType<P>(type: JobType<P>): JobType<P> {
  if (TYPES.has(type.name))
    throw fault("platform/bad-job", `the job ${type.name} is declared twice`, { field: type.name });
  TYPES.set(type.name, type as unknown as JobType<never>);
  return type;
}

/** Hands the queue's jobs to those who do them and takes done ones out of the outbox. */
@Injectable()
export class Jobs {
  readonly #runners = new Map<string, JobRunner<unknown>>();
  readonly #together = new Together();

  constructor(
    private readonly database: Database,
    private readonly queue: JobQueue,
    @Inject(LOG) private readonly log: Log,
  ) {}

  /** Features register their runners when their module starts. */
  register<P>(runner: JobRunner<P>): void {
    const { name } = runner.type;
    if (this.#runners.has(name)) throw fault("platform/bad-job", `the job ${name} has two runners`, { field: name });
    this.#runners.set(name, runner as JobRunner<unknown>);
  }

  /** @throws platform/bad-job when a declared job has no runner. */
  check(): void {
    for (const name of TYPES.keys()) {
      if (!this.#runners.has(name)) throw fault("platform/bad-job", `nobody does the job ${name}`, { field: name });
    }
  }

  async start(): Promise<void> {
    await this.queue.work((job) => this.run(job), CONCURRENCY);
  }

  async run(job: QueuedJob): Promise<void> {
    const id = BigInt(job.id.slice("outbox-".length));
    const where = { id, organizationId: ANY_ORGANIZATION };
    const row = await this.database.client.outbox.findUnique({ where });
    if (!row) return; // Done by an earlier delivery.
    const runner = this.#runners.get(row.job);
    if (!runner) throw fault("platform/bad-job", `nobody does the job ${row.job}`, { field: row.job });
    if (runner.type.together)
      await this.#together.run(`${row.job} ${row.organizationId}`, () => this.#serve(runner, row));
    else await this.#do(runner, row, [id]);
  }

  /** All rows that are there now, of which others may wait in the queue: they are found to be done. */
  async #serve(runner: JobRunner<unknown>, row: Outbox): Promise<void> {
    const { job, organizationId } = row;
    const rows = await this.database.client.outbox.findMany({ where: { job, organizationId }, select: { id: true } });
    const ids = rows.map(({ id }) => id);
    if (ids.length > 0) await this.#do(runner, row, ids);
  }

  async #do(runner: JobRunner<unknown>, row: Outbox, ids: readonly bigint[]): Promise<void> {
    const { id: outboxId, organizationId, job, payload } = row;
    const started = performance.now();
    try {
      await runner.run(runner.type.payload.parse(payload), { organizationId, outboxId });
    } catch (error) {
      const lastError = error instanceof Error ? error.message : String(error);
      const where = { id: outboxId, organizationId };
      await this.database.client.outbox.updateMany({ where, data: { lastError } }).catch(() => {});
      throw error;
    }
    await this.database.client.outbox.deleteMany({ where: { id: { in: [...ids] }, organizationId } });
    this.log.debug({ job, ids: ids.map(String), ms: Math.round(performance.now() - started) }, "job done");
  }
}
