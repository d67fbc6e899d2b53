export type { Authentication, ClientCredential, Description } from "./description.js";
export { authenticationFor, DEVICES, type Device, type Proofs } from "./devices.js";
export { NOTES, type Note, type NoteCode } from "./faults.js";
export { type Fingerprint, fingerprintOf } from "./fingerprint.js";
export type { ProfileFile } from "./order.js";
export { caFile, makePkcs12, makeProfile, type Profile, requireProfile, signProfile } from "./profile.js";
