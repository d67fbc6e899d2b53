import { faultTable } from "@sallyport/base";

/** Faults of the cryptography. Their text says which check failed, never anything about a key. */
export const fault = faultTable({
  "ike/integrity": { retry: false, expose: false },
  "ike/bad-key-exchange": { retry: false, expose: true },
  "ike/bad-signature": { retry: false, expose: true },
  "ike/unsuitable-key": { retry: false, expose: true },
  "ike/unsuitable-proposal": { retry: false, expose: true },
});
