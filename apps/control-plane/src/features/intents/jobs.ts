import { z } from "zod";
import { jobType } from "../../platform/outbox/jobs.js";

const payload = z.object({});

/** The organization is the outbox row's own. */
export type CompileIntents = z.infer<typeof payload>;

export const COMPILE_INTENTS = jobType<CompileIntents>({ name: "compile-intents", payload, together: true });

/** Names what a revision's body is sealed for. */
export const revisionPlace = (gatewayId: string, number: number) => `intent/${gatewayId}/${number}`;
