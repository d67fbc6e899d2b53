import { faultTable } from "@sallyport/base";

/** Faults of the agent's state on disk. */
export const fault = faultTable({
  "state/unwritable": { retry: true, expose: true },
  /** A file is there and is not what was written. */
  "state/damaged": { retry: false, expose: true },
});
