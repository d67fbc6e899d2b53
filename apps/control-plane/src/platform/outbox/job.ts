import type { z } from "zod";

/** A kind of job. `name` is written into the outbox and must never change its meaning. */
export interface JobType<Payload> {
  readonly name: string;
  /** Of ids and revisions; what a job needs besides, it reads. */
  readonly payload: z.ZodType<Payload>;
  /** One run does what all rows of an organization ask for, whatever their payload: it serves those that are there when it begins. */
  readonly together?: boolean;
}

export interface JobContext {
  readonly organizationId: string;
  readonly outboxId: bigint;
}

/** Does a job. It may be called twice with the same payload, and at the same time on two replicas. */
export interface JobRunner<Payload> {
  readonly type: JobType<Payload>;
  run(payload: Payload, context: JobContext): Promise<void>;
}
