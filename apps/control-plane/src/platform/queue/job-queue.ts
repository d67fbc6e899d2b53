/** A job as the queue hands it over. */
export interface QueuedJob {
  /** `outbox-<row id>`: of two jobs with one id that wait at the same time, the queue keeps one. */
  readonly id: string;
  readonly name: string;
  readonly data: unknown;
}

export type JobHandler = (job: QueuedJob) => Promise<void>;

/**
 * Where the outbox's jobs wait for a worker. A job may be handed over more than once; one whose handler rejects is handed over
 * again after a growing pause. Losing the whole queue loses nothing: the outbox fills it again.
 */
export abstract class JobQueue {
  abstract open(): Promise<void>;
  /** @throws platform/queue-unavailable */
  abstract add(jobs: readonly QueuedJob[]): Promise<void>;
  /** Starts to hand jobs over, at most `concurrency` at a time. */
  abstract work(handler: JobHandler, concurrency: number): Promise<void>;
  /** Waits for jobs that run. */
  abstract close(): Promise<void>;
}
