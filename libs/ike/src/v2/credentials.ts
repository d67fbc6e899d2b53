import type { CertificateCredential, NonEmpty } from "../config.js";

/** The first certificate that the peer's requests allow, else the first. */
export function credentialFor(
  credentials: NonEmpty<CertificateCredential>,
  authorities: readonly Uint8Array[],
): CertificateCredential {
  const allowed = (c: CertificateCredential) =>
    c.authorities?.some((hash) => authorities.some((wanted) => sameOctets(hash, wanted)));
  return credentials.find(allowed) ?? credentials[0];
}

export function sameOctets(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((x, i) => x === b[i]);
}
