import { faultTable } from "@sallyport/base";

/** Refusals of EAP. `facts` of those with two sides hold `ours` and `theirs`; no text ever holds a password. */
export const fault = faultTable({
  /** Octets that are no packet of the method. */
  "ike/eap-malformed": { retry: false, expose: true },
  /** A packet that may not come now: wrong code, identifier or type, a second identity, success before the method's end. */
  "ike/eap-unexpected": { retry: false, expose: true },
  /** More octets or rounds than a conversation may have. */
  "ike/eap-oversize": { retry: false, expose: true },
  /** No method that both ends would use. */
  "ike/eap-no-method": { retry: false, expose: true },
  /** Unknown user or wrong password; the other side is not told which. */
  "ike/eap-credentials": { retry: false, expose: true },
  /** The other end could not prove that it knows the password. */
  "ike/eap-server-unproven": { retry: false, expose: true },
  /** The other end answered with EAP-Failure. */
  "ike/eap-refused": { retry: true, expose: true },
  /** The TLS handshake or the certificates in it failed. */
  "ike/eap-tls": { retry: false, expose: true },
});
