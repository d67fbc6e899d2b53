import { faultTable } from "@sallyport/base";

/** Faults of the codecs. None of them is worth a retry: the same octets fail again. */
export const fault = faultTable({
  "ike/malformed-message": { retry: false, expose: true },
  "ike/unsupported-version": { retry: false, expose: true },
  "ike/malformed-payload": { retry: false, expose: true },
  "ike/unsupported-critical-payload": { retry: false, expose: true },
  "ike/too-many": { retry: false, expose: true },
  "ike/payload-not-allowed": { retry: false, expose: true },
  "ike/payload-missing": { retry: false, expose: true },
  "ike/unknown-exchange": { retry: false, expose: true },
  "ike/bad-fragment": { retry: false, expose: true },
  "ike/too-large": { retry: false, expose: true },
});
