import { setTimeout as sleep } from "node:timers/promises";
import type { Queue, Worker } from "bullmq";
import type { PoolConfig } from "pg";
import { fault } from "../faults.js";
import type { Log } from "../log/log.js";
import { type JobHandler, JobQueue, type QueuedJob } from "./job-queue.js";
import { redisOptions } from "./redis.js";

const NAME = "sallyport";
const SCHEMA = "bullmq";
const OPTIONS = {
  attempts: 8,
  backoff: { type: "exponential", delay: 200, jitter: 0.3 },
  removeOnComplete: true,
  removeOnFail: true,
} as const;

/** A job whose worker was killed is handed over again within seconds; how often that happens is no reason to give it up. */
const WATCH = { lockDuration: 10_000, stalledInterval: 5_000, maxStalledCount: 1_000 } as const;

const CLOSE_MS = 3_000;

export type QueueStore =
  | { readonly kind: "redis"; readonly url: string }
  | { readonly kind: "postgres"; readonly connection: PoolConfig };

/** BullMQ, on Redis or on PostgreSQL. */
export class BullQueue extends JobQueue {
  readonly #store: QueueStore;
  readonly #log: Log;
  #queue: Queue | undefined;
  #worker: Worker | undefined;

  constructor(store: QueueStore, log: Log) {
    super();
    this.#store = store;
    this.#log = log;
  }

  override async open(): Promise<void> {
    const { Queue } = await this.#classes();
    const queue = new Queue(NAME, { connection: this.#connection(false), defaultJobOptions: OPTIONS });
    queue.on("error", (err) => this.#log.warn({ err }, "the job queue has no connection"));
    this.#queue = queue;
    await queue.waitUntilReady();
  }

  override async add(jobs: readonly QueuedJob[]): Promise<void> {
    try {
      await this.#queue?.addBulk(jobs.map(({ id, name, data }) => ({ name, data, opts: { jobId: id } })));
    } catch (cause) {
      throw fault("platform/queue-unavailable", "the jobs could not be queued", { cause });
    }
  }

  override async work(handler: JobHandler, concurrency: number): Promise<void> {
    const { Worker } = await this.#classes();
    const worker = new Worker(NAME, ({ id = "", name, data }) => handler({ id, name, data }), {
      connection: this.#connection(true),
      concurrency,
      ...WATCH,
    });
    worker.on("error", (err) => this.#log.warn({ err }, "the job worker has no connection"));
    worker.on("failed", (job, err) => {
      this.#log.warn({ err, job: job?.name, id: job?.id, attempt: job?.attemptsMade }, "a job failed");
    });
    this.#worker = worker;
    await worker.waitUntilReady();
  }

  override async close(): Promise<void> {
    // A worker whose Redis is away waits for it for ever; its job is handed over again by the outbox.
    const late = new AbortController();
    await Promise.race([this.#worker?.close(), sleep(CLOSE_MS, undefined, { signal: late.signal }).catch(() => {})]);
    late.abort();
    await Promise.race([this.#queue?.close(), sleep(CLOSE_MS, undefined, { ref: false })]);
  }

  async #classes() {
    const bull = await import("bullmq");
    if (this.#store.kind === "redis") return { Queue: bull.Queue, Worker: bull.Worker };
    const { Queue, Worker } = bull.withBackend(bull.createPostgresBackend);
    return { Queue, Worker } as unknown as { Queue: typeof bull.Queue; Worker: typeof bull.Worker };
  }

  #connection(blocking: boolean): object {
    if (this.#store.kind === "postgres") {
      return { ...this.#store.connection, schema: SCHEMA, migrate: true, max: 4, application_name: "sallyport jobs" };
    }
    // A worker waits for ever; whoever adds a job wants to know that it cannot.
    return { ...redisOptions(this.#store.url), maxRetriesPerRequest: blocking ? null : 3 };
  }
}
