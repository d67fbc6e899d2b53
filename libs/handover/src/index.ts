export type { Authentication, ClientCredential, Description } from "./description.js";
export { DEVICES, type Device } from "./devices.js";
export { NOTES, type Note, type NoteCode } from "./faults.js";
export { fingerprintOf } from "./fingerprint.js";
export type { ProfileFile } from "./order.js";
export { caFile, makePkcs12, makeProfile, type Profile, signProfile } from "./profile.js";
