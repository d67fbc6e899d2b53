import { z } from "zod";
import { jobType } from "../../platform/outbox/jobs.js";

const record = z.object({ recordId: z.uuid() });

/** A record is to be removed whose order is over. */
export type RemoveRecord = z.infer<typeof record>;
export const REMOVE_RECORD = jobType<RemoveRecord>({ name: "remove-dns-record", payload: record });
