export { DH, type DhInfo, dhGroupOf, PRF, type PrfInfo, prfOf } from "./algorithms.js";
export { generate, respond, shared } from "./dh.js";
export { deriveChildKeys, deriveIkeKeys, deriveRekeyedIkeKeys, lastingKeys, mixPpk, wipeKeys } from "./keys.js";
export { natDetectionHash } from "./natd.js";
export { prf, prfPlus } from "./prf.js";
export { type Primitives, usePrimitives } from "./primitives.js";
export { authOctets, pskAuth, verifyPskAuth } from "./psk.js";
export {
  chooseScheme,
  hashesOf,
  keyKind,
  OFFERED_HASHES,
  SIGNATURES,
  signAuth,
  signatureName,
  verifyAuth,
} from "./signature.js";
export { protector } from "./sk.js";
export {
  childSuite,
  childTransforms,
  encryptionOf,
  encryptionTransform,
  ikeSuite,
  ikeTransforms,
} from "./suite.js";
export type * from "./types.js";
