import { faultTable } from "@sallyport/base";

/** Faults of the certificates feature. */
export const fault = faultTable({
  /** A key of the key store that is not there: the database was restored without it. */
  "certificates/unknown-key": { retry: false, expose: false },
});
