import { faultTable } from "@sallyport/base";

/** Faults of this library. `field` names the part of the certificate, request or key, e.g. `leaf.keyUsage`. */
export const fault = faultTable({
  /** Not DER, not an X.509 structure, a repeated extension, a size over the limit. */
  "pki/malformed": { retry: false, expose: true },
  /** A key that is too small, of a kind we do not take, or degenerate. */
  "pki/weak-key": { retry: false, expose: true },
  /** A signature algorithm we do not take, or odd parameters of one. */
  "pki/bad-algorithm": { retry: false, expose: true },
  "pki/bad-signature": { retry: false, expose: true },
  /** No path to any of the anchors; `facts` says what each attempt ended at. */
  "pki/untrusted": { retry: false, expose: true },
  "pki/expired": { retry: false, expose: true },
  "pki/not-yet-valid": { retry: false, expose: true },
  "pki/revoked": { retry: false, expose: true },
  /** Whether it is revoked could not be found out, and the policy is strict; `value` says why. */
  "pki/revocation-unknown": { retry: true, expose: true },
  /** basicConstraints, keyUsage, extended key usage, name constraints or an unknown critical extension forbid this use. */
  "pki/forbidden-use": { retry: false, expose: true },
  /** The certificate does not prove the identity. */
  "pki/identity-mismatch": { retry: false, expose: true },
  /** A CA would issue beyond its own end. */
  "pki/validity-exceeded": { retry: false, expose: true },
  /** A CA would issue for a name that its own chain's constraints forbid. */
  "pki/name-constrained": { retry: false, expose: true },
  /** The certificate profile does not permit the name, the key or the validity. */
  "pki/outside-profile": { retry: false, expose: true },
  /** An entry of the issuance log is not what it was. */
  "pki/log-broken": { retry: false, expose: true },
  "pki/pin-mismatch": { retry: false, expose: true },
  "pki/unknown-key": { retry: false, expose: false },
});
