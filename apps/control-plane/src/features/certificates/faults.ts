import { faultTable } from "@sallyport/base";

/** Faults of the certificates feature. */
export const fault = faultTable({
  /** A key of the key store that is not there: the database was restored without it. */
  "certificates/unknown-key": { retry: false, expose: false },
  /** The authority's key is elsewhere, or the authority was retired: it issues nothing here. */
  "certificates/cannot-sign": { retry: false, expose: true },
  /** The certificate is not the one that was asked for: another key. */
  "certificates/other-key": { retry: false, expose: true },
  /** Revoked for good, expired, not on hold, or a foreign one: this cannot be done with it. */
  "certificates/wrong-state": { retry: false, expose: true },
  /** The installation has no PKCS#11 token, or its PIN cannot be read. */
  "certificates/no-token": { retry: false, expose: true },
  /** The request, or whoever makes it, asks for a name that is not the holder's. */
  "certificates/other-name": { retry: false, expose: true },
  /** This very certificate is known already. */
  "certificates/known": { retry: false, expose: true },
});
