export * from "./api.js";
export * from "./crypto/index.js";
export * from "./eap/index.js";
export { type CryptoKeys, failureOf, runCryptoJob } from "./runner-crypto.js";
export { IkeEngine } from "./v2/engine.js";
export { identificationText, toIdentification, toIdentity } from "./v2/identity.js";
export { rangesText } from "./v2/narrow.js";
export { MAX_SELECTORS, toSelectors } from "./v2/selectors.js";
export * from "./wire/index.js";
