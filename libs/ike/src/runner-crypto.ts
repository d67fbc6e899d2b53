import type { KeyObject } from "node:crypto";
import { isFault, type Rng } from "@sallyport/base";
import type { CryptoJob, CryptoResult, Failure } from "./api.js";
import { generate, shared, signAuth, verifyAuth } from "./crypto/index.js";
import type { SignaturePolicy } from "./crypto/types.js";

type VerifyJob = Extract<CryptoJob, { kind: "verify" }>;

/** Where a runner gets keys and trust from; the engine names them and never sees them. */
export interface CryptoKeys {
  /** The private key behind `LocalAuth.key`; undefined when there is none of that name. */
  signingKey(ref: string): KeyObject | undefined;
  /**
   * Judges `job.certificates` (end entity first) up to one of `job.trust` and whether the end entity proves `job.peer`, the
   * latter not when `job.identity.match` is `ignore`. Gives the end entity's key and subject; throws a `Fault` otherwise.
   */
  trust(job: VerifyJob): { readonly publicKey: KeyObject; readonly subject: string };
  readonly policy?: SignaturePolicy;
  /** Source of key pairs; `node:crypto` when absent. */
  readonly rng?: Rng;
}

export type CryptoAnswer =
  | { readonly ok: true; readonly result: CryptoResult }
  | { readonly ok: false; readonly failure: Failure };

/** Does a crypto job at once. Never throws: what cannot be done is the answer's `failure`. */
export function runCryptoJob(job: CryptoJob, keys: CryptoKeys): CryptoAnswer {
  try {
    return { ok: true, result: run(job, keys) };
  } catch (error) {
    return { ok: false, failure: failureOf(error) };
  }
}

function run(job: CryptoJob, keys: CryptoKeys): CryptoResult {
  switch (job.kind) {
    case "dh-generate":
      return { pair: generate(job.group, keys.rng) };
    case "dh-compute":
      return { shared: shared(job.pair, job.peerValue) };
    case "dh-respond": {
      const pair = generate(job.group, keys.rng);
      return { publicValue: pair.publicValue, shared: shared(pair, job.peerValue) };
    }
    case "sign": {
      const key = keys.signingKey(job.key);
      if (!key) throw new Error(`no private key "${job.key}"`);
      return { data: signAuth(key, job.scheme, job.octets) };
    }
    case "verify": {
      const { publicKey, subject } = keys.trust(job);
      verifyAuth(publicKey, job.auth, job.octets, keys.policy);
      return { subject };
    }
  }
}

/** An exception as data, for an input of the engine. */
export function failureOf(error: unknown): Failure {
  if (isFault(error)) return { code: error.code, message: error.message, field: error.field, value: error.value };
  return { code: "ike/runner", message: error instanceof Error ? error.message : String(error) };
}
