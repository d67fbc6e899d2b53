import { faultTable } from "@sallyport/base";

/** Faults of certificates that are asked of public authorities. */
export const fault = faultTable({
  /** A request that cannot be made: no names, an unknown type of key. */
  "certify/bad-request": { retry: false, expose: true },
  /** A challenge of a type that this agent cannot answer, or one that is malformed. */
  "certify/bad-challenge": { retry: false, expose: true },
  /** Somebody else listens where the authority will ask. */
  "certify/port-in-use": { retry: true, expose: true },
});
