export {
  type Authority,
  type AuthorityName,
  type Chain,
  createIssuing,
  createRoot,
  gatewayIdOf,
  type Issued,
  issueAgent,
  issueGateway,
  issueServer,
  LIFETIMES,
} from "./authority.js";
export { type Certificate, fingerprintOf, MAX_CERTIFICATE_BYTES, readCertificate } from "./certificate.js";
export { type CertificateList, MAX_CRL_BYTES, type RevocationReason, type Revoked, readCrl, verifyCrl } from "./crl.js";
export { type CertificateRequest, checkRequest, createRequest } from "./csr.js";
export type { GeneralNames } from "./general-names.js";
export { ownIdentity, type PeerIdentity, proves, requireIdentity } from "./identity.js";
export { generateKeys, type KeyKind, readPublicKey, spkiOf } from "./keys.js";
export { type KeyHandle, type KeyStore, MemoryKeyStore } from "./keystore.js";
export type { DistinguishedName } from "./names.js";
export { MAX_OCSP_BYTES, type OcspAnswer, ocspRequest, readOcspResponse } from "./ocsp.js";
export { requireUsable, type Usage } from "./path.js";
export { certificatesFromPem, pinOf, toPem } from "./pem.js";
export { verifyPinned } from "./pin.js";
export { type RevocationPolicy, type RevocationState, RevocationStore, requireUnrevoked } from "./revocation.js";
export { signWith } from "./signature.js";
export { type ChainRequest, ChainVerifier, TrustAnchors, type VerifiedChain, type VerifierOptions } from "./verify.js";
