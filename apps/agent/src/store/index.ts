export { type Enrolment, EnrolmentStore, type StoredKeyPair } from "./enrolment-store.js";
export { IntentStore, type LoadedIntent } from "./intent-store.js";
export { EMPTY_REGISTER, type Refusal, type Register, RevocationStore } from "./revocation-store.js";
