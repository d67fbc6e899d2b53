import { Inject, Injectable } from "@nestjs/common";
import { WakeUpBus } from "../bus/bus.js";
import { Database } from "../database/database.js";
import { LOG, type Log } from "../log/log.js";
import { JobQueue } from "../queue/job-queue.js";

const BATCH = 200;
const POLL_MS = 1_000;
/** A row that was handed to the queue so long ago and is still here is handed over again: the queue may have lost it. */
const STALE_SECONDS = 60;

interface Row {
  id: bigint;
  job: string;
}

/** Moves rows from the outbox to the queue: at once when woken, else every second. Replicas share the work row by row. */
@Injectable()
export class Relay {
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #again = false;
  #closed = false;
  readonly #unsubscribe: (() => void)[] = [];

  constructor(
    private readonly database: Database,
    private readonly queue: JobQueue,
    private readonly bus: WakeUpBus,
    @Inject(LOG) private readonly log: Log,
  ) {}

  start(): void {
    this.#unsubscribe.push(
      this.bus.subscribe("outbox", () => this.poke()),
      this.bus.onReconnect(() => this.poke()),
    );
    this.#timer = setInterval(() => this.poke(), POLL_MS);
    this.poke();
  }

  async stop(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    for (const end of this.#unsubscribe) end();
    await this.#running;
  }

  poke(): void {
    if (this.#closed) return;
    this.#again = true;
    this.#running ??= this.#drain().finally(() => (this.#running = undefined));
  }

  async #drain(): Promise<void> {
    while (this.#again && !this.#closed) {
      this.#again = false;
      try {
        while ((await this.#moveBatch()) === BATCH && !this.#closed);
      } catch (err) {
        this.log.warn({ err }, "the outbox could not be moved to the queue");
      }
    }
  }

  /** Rows are marked only after the queue has them: a crash in between hands a job over twice, which jobs allow. */
  #moveBatch(): Promise<number> {
    return this.database.transaction(async (tx) => {
      const rows = await tx.$queryRaw<Row[]>`
        SELECT id, job FROM outbox
        WHERE (enqueued_at IS NULL OR enqueued_at < now() - make_interval(secs => ${STALE_SECONDS}))
          AND (not_before IS NULL OR not_before <= now())
        ORDER BY id LIMIT ${BATCH} FOR UPDATE SKIP LOCKED`;
      if (rows.length === 0) return 0;
      await this.queue.add(rows.map(({ id, job }) => ({ id: `outbox-${id}`, name: job, data: {} })));
      await tx.$executeRaw`
        UPDATE outbox SET enqueued_at = now(), enqueued = enqueued + 1 WHERE id = ANY(${rows.map((r) => r.id)}::bigint[])`;
      return rows.length;
    });
  }
}
