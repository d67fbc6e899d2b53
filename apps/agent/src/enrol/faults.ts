import { faultTable } from "@sallyport/base";

/** Faults of enrolling; what the control plane refuses comes as its own `enrolment/…`. */
export const fault = faultTable({
  "enrol/already-enrolled": { retry: false, expose: true },
  /** None of the token's control planes answers. */
  "enrol/unreachable": { retry: true, expose: true },
  /** The answer does not fit the keys that were sent. */
  "enrol/bad-answer": { retry: false, expose: true },
});
