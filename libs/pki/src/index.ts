export {
  type Authority,
  type AuthorityName,
  type AuthorityTemplate,
  authoritySubject,
  type Chain,
  certifyAuthority,
  createIssuing,
  createRoot,
  gatewayIdOf,
  type Issued,
  issueAgent,
  issueGateway,
  issueLeaf,
  issueResponder,
  issueServer,
  type LeafTemplate,
  LIFETIMES,
} from "./authority.js";
export { requireAuthorityChain } from "./authority-chain.js";
export type { IssuerPlaces, Subject } from "./builder.js";
export { type Certificate, fingerprintOf, MAX_CERTIFICATE_BYTES, readCertificate } from "./certificate.js";
export { challengeCertificate } from "./challenge-certificate.js";
export { type CmsSigner, signCms } from "./cms.js";
export {
  type CertificateList,
  MAX_CRL_BYTES,
  REASONS,
  type RevocationReason,
  type Revoked,
  readCrl,
  verifyCrl,
} from "./crl.js";
export { buildCrl, type ListEntry, type ListTemplate } from "./crl-builder.js";
export { type CertificateRequest, checkRequest, createAuthorityRequest, createRequest } from "./csr.js";
export type { SubjectName } from "./der-writer.js";
export { EXTENDED_KEY_USAGE, type NameRules, type NameSubtree } from "./extensions.js";
export type { GeneralNames } from "./general-names.js";
export { ownIdentity, type PeerIdentity, proves, requireIdentity } from "./identity.js";
export { LOG_GENESIS, type LogEntry, type LogHead, LogVerifier, logHash } from "./issuance-log.js";
export {
  generateKeys,
  type KeyKind,
  type KeyType,
  kindOf,
  type PrivateKey,
  readPrivateKey,
  readPrivateKeyPem,
  readPublicKey,
  spkiOf,
} from "./keys.js";
export { type KeyHandle, type KeyStore, MemoryKeyStore } from "./keystore.js";
export { commonNameOf, type DistinguishedName } from "./names.js";
export { MAX_OCSP_BYTES, type OcspAnswer, ocspRequest, readOcspResponse } from "./ocsp.js";
export {
  type AskedCertificate,
  buildOcspResponse,
  certIdDer,
  issuerHash,
  MAX_OCSP_REQUEST_BYTES,
  type OcspHash,
  type OcspQuestion,
  type OcspSigner,
  type OcspStatement,
  ocspError,
  ocspSigner,
  readOcspRequest,
} from "./ocsp-responder.js";
export { requireUsable, type Usage } from "./path.js";
export { certificatesFromPem, pinOf, requestFromPem, toPem } from "./pem.js";
export { verifyPinned } from "./pin.js";
export { buildPkcs12, type Pkcs12Content, type Pkcs12Encryption } from "./pkcs12.js";
export { namesAsked, type ProfileRequest, type ProfileRules, requireWithinProfile } from "./profile.js";
export { type RevocationPolicy, type RevocationState, RevocationStore, requireUnrevoked } from "./revocation.js";
export { ecdsaSignature, hashFor, signWith } from "./signature.js";
export { type ChainRequest, ChainVerifier, TrustAnchors, type VerifiedChain, type VerifierOptions } from "./verify.js";
