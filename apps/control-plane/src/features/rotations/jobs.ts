import { z } from "zod";
import { jobType } from "../../platform/outbox/jobs.js";

const payload = z.object({ rotationId: z.uuid(), tick: z.int() });

/** Takes a rotation as far as it gets now. Of its jobs only the one with the rotation's `tick` does anything. */
export type AdvanceRotation = z.infer<typeof payload>;

export const ADVANCE_ROTATION = jobType<AdvanceRotation>({ name: "advance-rotation", payload });
