import { faultTable } from "@sallyport/base";

/** Faults of this library. Neither the PIN nor anything of a key is ever part of one. */
export const fault = faultTable({
  /** The module cannot be loaded, or is none. */
  "pkcs11/bad-module": { retry: false, expose: false },
  /** No token has the label, or it has no PIN yet. */
  "pkcs11/no-token": { retry: true, expose: true },
  /** The token refused the PIN. It is not tried a second time: tokens lock themselves. */
  "pkcs11/wrong-pin": { retry: false, expose: false },
  /** No key, or more than one, is what the reference names. */
  "pkcs11/unknown-key": { retry: false, expose: true },
  /** The token makes or takes no keys of this type. */
  "pkcs11/unsupported": { retry: false, expose: true },
  /** A call failed; `value` is the return value's name (PKCS#11 v2.40, "CKR_…"). */
  "pkcs11/failed": { retry: true, expose: false },
});
