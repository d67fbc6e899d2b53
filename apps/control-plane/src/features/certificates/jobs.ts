import { z } from "zod";
import { jobType } from "../../platform/outbox/jobs.js";

const payload = z.object({ authorityId: z.uuid() });

/** An authority revoked or released something: its lists are made anew. */
export type PublishLists = z.infer<typeof payload>;

export const PUBLISH_LISTS = jobType<PublishLists>({ name: "publish-revocation-lists", payload });
