import { faultTable } from "@sallyport/base";

/** Faults of this library. */
export const fault = faultTable({
  "contract/bad-token": { retry: false, expose: true },
  "contract/bad-intent": { retry: false, expose: true },
  "contract/unavailable": { retry: true, expose: true },
  "contract/refused": { retry: false, expose: true },
});
