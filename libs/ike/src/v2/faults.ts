import { type Fault, faultTable, isFault } from "@sallyport/base";
import { NOTIFY, type NotifyName } from "../wire/registry.js";

/** Refusals of the engine. `facts` of those with two sides hold `ours` and `theirs`. */
export const fault = faultTable({
  "ike/no-proposal-chosen": { retry: false, expose: true },
  "ike/invalid-ke": { retry: true, expose: true },
  "ike/authentication-failed": { retry: false, expose: true },
  "ike/identity-mismatch": { retry: false, expose: true },
  "ike/hash-and-url": { retry: false, expose: true },
  "ike/ppk-mismatch": { retry: false, expose: true },
  "ike/ts-unacceptable": { retry: false, expose: true },
  "ike/temporary-failure": { retry: true, expose: true },
  "ike/child-not-found": { retry: true, expose: true },
  "ike/no-additional-sas": { retry: true, expose: true },
  "ike/too-many-sas": { retry: true, expose: true },
  /** Who has proved an identity is none of those that a connection is for. */
  "ike/not-a-user": { retry: false, expose: true },
  "ike/invalid-syntax": { retry: false, expose: true },
  "ike/unexpected": { retry: true, expose: true },
  "ike/unexpected-nat": { retry: true, expose: true },
  "ike/unacceptable-addresses": { retry: true, expose: true },
  "ike/peer-refused": { retry: true, expose: true },
  "ike/no-response": { retry: true, expose: true },
  "ike/not-reauthenticated": { retry: true, expose: true },
  "ike/not-configured": { retry: false, expose: true },
  "ike/data-plane": { retry: true, expose: true },
  "ike/no-address": { retry: true, expose: true },
  "ike/address-required": { retry: false, expose: true },
  /** An address that the peer asks for by name and that no pool of its connection has, or that is somebody else's. */
  "ike/address-outside-pool": { retry: false, expose: true },
  "ike/address-taken": { retry: false, expose: true },
});

/** The NOTIFY that tells the peer about a refusal of its request (RFC 7296 §2.21); the rest is INVALID_SYNTAX. */
const NOTIFY_OF: Readonly<Record<string, NotifyName>> = {
  "ike/no-proposal-chosen": "NO_PROPOSAL_CHOSEN",
  "ike/invalid-ke": "INVALID_KE_PAYLOAD",
  "ike/bad-key-exchange": "INVALID_SYNTAX",
  "ike/authentication-failed": "AUTHENTICATION_FAILED",
  "ike/identity-mismatch": "AUTHENTICATION_FAILED",
  "ike/hash-and-url": "AUTHENTICATION_FAILED",
  "ike/ppk-mismatch": "AUTHENTICATION_FAILED",
  "ike/too-many-sas": "AUTHENTICATION_FAILED",
  "ike/not-a-user": "AUTHENTICATION_FAILED",
  "ike/ts-unacceptable": "TS_UNACCEPTABLE",
  "ike/temporary-failure": "TEMPORARY_FAILURE",
  "ike/child-not-found": "CHILD_SA_NOT_FOUND",
  "ike/no-additional-sas": "NO_ADDITIONAL_SAS",
  "ike/unsupported-critical-payload": "UNSUPPORTED_CRITICAL_PAYLOAD",
  "ike/unexpected-nat": "UNEXPECTED_NAT_DETECTED",
  "ike/unacceptable-addresses": "UNACCEPTABLE_ADDRESSES",
  "ike/data-plane": "TEMPORARY_FAILURE",
  "ike/no-address": "INTERNAL_ADDRESS_FAILURE",
  "ike/address-required": "FAILED_CP_REQUIRED",
};

export function notifyOf(error: Fault): NotifyName {
  return NOTIFY_OF[error.code] ?? "INVALID_SYNTAX";
}

/** Refusals that end the IKE SA they come up in, at both ends (RFC 7296 §2.21.3). */
export function isFatal(error: Fault): boolean {
  const name = notifyOf(error);
  return name === "INVALID_SYNTAX" || name === "AUTHENTICATION_FAILED";
}

const CODE_OF: Readonly<Record<number, string>> = {
  [NOTIFY.NO_PROPOSAL_CHOSEN]: "ike/no-proposal-chosen",
  [NOTIFY.INVALID_KE_PAYLOAD]: "ike/invalid-ke",
  [NOTIFY.AUTHENTICATION_FAILED]: "ike/authentication-failed",
  [NOTIFY.TS_UNACCEPTABLE]: "ike/ts-unacceptable",
  [NOTIFY.SINGLE_PAIR_REQUIRED]: "ike/ts-unacceptable",
  [NOTIFY.TEMPORARY_FAILURE]: "ike/temporary-failure",
  [NOTIFY.CHILD_SA_NOT_FOUND]: "ike/child-not-found",
  [NOTIFY.NO_ADDITIONAL_SAS]: "ike/no-additional-sas",
  [NOTIFY.INVALID_SYNTAX]: "ike/invalid-syntax",
  [NOTIFY.INTERNAL_ADDRESS_FAILURE]: "ike/no-address",
  [NOTIFY.FAILED_CP_REQUIRED]: "ike/address-required",
};

/** Our code for a refusal that the peer sent. */
export function codeOf(notify: number): string {
  return CODE_OF[notify] ?? "ike/peer-refused";
}

export { isFault };
