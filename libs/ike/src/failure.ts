import type { Fault } from "@sallyport/base";

/** Why an effect failed: code, text and facts of the `Fault`. */
export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly field?: string | undefined;
  readonly value?: string | undefined;
  /** What this end wanted and what the peer had, where the fault is about that. */
  readonly ours?: string | undefined;
  readonly theirs?: string | undefined;
}

/** Faults about what a peer sent: what was refused is the peer's, what would have been right is ours. */
const ABOUT_THE_PEER = /^(ike|pki)\//;

/** Both sides' values, as far as a fault has them. */
export function bothSides({ code, facts, expected, value }: Fault): Pick<Failure, "ours" | "theirs"> {
  const about = ABOUT_THE_PEER.test(code);
  return { ours: facts.ours ?? (about ? expected : undefined), theirs: facts.theirs ?? (about ? value : undefined) };
}
