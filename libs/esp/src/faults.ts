import { faultTable } from "@sallyport/base";

/** Faults of this library. */
export const fault = faultTable({
  "esp/unknown-algorithm": { retry: false, expose: true },
  "esp/bad-key": { retry: false, expose: true },
  "esp/bad-combination": { retry: false, expose: true },
  "esp/bad-window": { retry: false, expose: true },
});
