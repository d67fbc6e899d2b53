import { z } from "zod";
import { jobType } from "../../platform/outbox/jobs.js";

const payload = z.object({});

/** The organization is the outbox row's own. */
export type CompileIntents = z.infer<typeof payload>;

export const COMPILE_INTENTS = jobType<CompileIntents>({ name: "compile-intents", payload, together: true });

const AFTER_REVOCATION_MS = 2_000;

/**
 * When intents are compiled that only repeat what the register of revocations has told every gateway by then: that comes first, and a
 * whole fleet is compiled on the same core.
 */
export const afterRevocation = () => new Date(Date.now() + AFTER_REVOCATION_MS);

/** Names what a revision's body is sealed for. */
export const revisionPlace = (gatewayId: string, number: number) => `intent/${gatewayId}/${number}`;
