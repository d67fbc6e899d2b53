import { z } from "zod";
import { jobType } from "../../platform/outbox/jobs.js";

const payload = z.object({ number: z.int() });

/** The register of revocations has grown up to a number; the organization is the outbox row's own. */
export type TellRevocations = z.infer<typeof payload>;

export const TELL_REVOCATIONS = jobType<TellRevocations>({ name: "tell-revocations", payload });
