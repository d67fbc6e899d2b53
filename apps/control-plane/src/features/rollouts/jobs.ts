import { z } from "zod";
import { jobType } from "../../platform/outbox/jobs.js";

const payload = z.object({ rolloutId: z.uuid(), tick: z.int() });

/** Takes a rollout as far as it gets now. Of its jobs only the one with the rollout's `tick` does anything. */
export type AdvanceRollout = z.infer<typeof payload>;

export const ADVANCE_ROLLOUT = jobType<AdvanceRollout>({ name: "advance-rollout", payload });
