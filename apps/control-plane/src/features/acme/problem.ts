import { isFault } from "@sallyport/base";
import { z } from "zod";
import { foreignText } from "../../platform/foreign-text.js";

const MAX_SUBPROBLEMS = 20;
const text = (max: number) => z.string().transform((value) => foreignText(value, max));

const detail = { type: text(200).default("about:blank"), detail: text(512).default("") };
const subproblem = z.object({
  ...detail,
  identifier: z.object({ value: text(253) }).optional(),
});

/** A problem document (RFC 7807) as directories send it (RFC 8555 §6.7), bounded. */
const problemDocument = z.object({
  ...detail,
  status: z.number().int().optional(),
  subproblems: z
    .array(subproblem)
    .transform((list) => list.slice(0, MAX_SUBPROBLEMS))
    .default([]),
});

export type ProblemDocument = z.infer<typeof problemDocument>;

export const PROBLEM = "urn:ietf:params:acme:error:";

/** Undefined for something else. */
export function readProblem(value: unknown): ProblemDocument | undefined {
  const { success, data } = problemDocument.safeParse(value);
  return success ? data : undefined;
}

/** As a fact of a fault. */
export const problemFact = (problem: ProblemDocument) => ({ problem: JSON.stringify(problem) });

/** What became of a step, as rows keep it. */
const failure = z.object({
  code: z.string(),
  message: z.string(),
  retry: z.boolean(),
  problem: problemDocument.optional(),
});
export type Failure = z.infer<typeof failure>;

export function failureOf(error: unknown): Failure {
  if (!isFault(error) || !error.policy.expose) {
    const retry = !isFault(error) || error.policy.retry;
    return { code: "acme/internal", message: "it failed for a reason of our own; the log says more", retry };
  }
  const { code, message, policy, facts } = error;
  const problem = facts.problem === undefined ? undefined : readProblem(JSON.parse(facts.problem));
  return {
    code: facts.reason ?? code,
    message: foreignText(message),
    retry: policy.retry,
    ...(problem && { problem }),
  };
}

export function readFailure(json: unknown): Failure | undefined {
  const { success, data } = failure.safeParse(json);
  return success ? data : undefined;
}
