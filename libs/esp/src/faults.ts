import { faultTable } from "@sallyport/base";

/** Faults of this library. */
export const fault = faultTable({
  "esp/bad-key": { retry: false, expose: true },
  "esp/bad-combination": { retry: false, expose: true },
  "esp/bad-window": { retry: false, expose: true },
});
