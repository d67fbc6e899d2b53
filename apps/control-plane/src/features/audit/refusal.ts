import type { Repeated } from "@sallyport/base";
import type { Change } from "./audit.service.js";

/** Within an hour, of one who refuses or is refused: what is told apart by code and by whom it is about. The rest counts together. */
export const REFUSAL_LIMITS = { windowMs: 3_600_000, kinds: 32, subjects: 32 } as const;

/** Something that was refused, as it stands in the audit log. */
export interface Refusal {
  /** `refuse` and what. */
  readonly action: string;
  readonly target: Change["target"];
  readonly code: string;
  /** Null: several, too many to tell apart. */
  readonly who: string | null;
  readonly facts: Readonly<Record<string, unknown>>;
}

/** The entry of the first, the tenth, the hundredth … refusal of its kind. */
export function refusalEntry({ action, target, code, who, facts }: Refusal, { times, since, ...counted }: Repeated) {
  const after = {
    code: counted.kind === undefined ? null : code,
    who: counted.subject === undefined ? null : who,
    ...(counted.subject === undefined ? {} : facts),
    times,
    since: new Date(since),
  };
  return { action, target, after } satisfies Change;
}
