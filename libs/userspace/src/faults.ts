import { faultTable } from "@sallyport/base";

/** Faults of this library, in the area of the port that it implements. */
export const fault = faultTable({
  "dataplane/refused": { retry: false, expose: true },
  "dataplane/unsupported": { retry: false, expose: true },
  "dataplane/closed": { retry: false, expose: false },
});
