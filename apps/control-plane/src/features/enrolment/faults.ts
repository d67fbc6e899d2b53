import { faultTable } from "@sallyport/base";

/** Faults of the enrolment feature. Tokens are secrets: none of these carries one. */
export const fault = faultTable({
  "enrolment/token-unknown": { retry: false, expose: true },
  "enrolment/token-expired": { retry: false, expose: true },
  "enrolment/token-used": { retry: false, expose: true },
  /** A newer token of the gateway took its place. */
  "enrolment/token-replaced": { retry: false, expose: true },
  "enrolment/gateway-retired": { retry: false, expose: true },
  "enrolment/unsupported-version": { retry: false, expose: true },
});
