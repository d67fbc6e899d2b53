import type { KeyObject } from "node:crypto";
import { isFault, type Rng } from "@sallyport/base";
import type { CryptoJob, CryptoResult, PeerCertificate } from "./api.js";
import { fault } from "./crypto/faults.js";
import { generate, respond, shared, signAuth, verifyAuth } from "./crypto/index.js";
import type { SignaturePolicy } from "./crypto/types.js";
import { fault as eapFault } from "./eap/faults.js";
import type { EapTlsCloseJob, EapTlsJob, EapTlsResult } from "./eap/types.js";
import { bothSides, type Failure } from "./failure.js";

type VerifyJob = Extract<CryptoJob, { kind: "verify" }>;

/** Where a runner gets keys and trust from; the engine names them and never sees them. */
export interface CryptoKeys {
  /** The private key behind `LocalAuth.key`; throws a `Fault` when there is none of that name. */
  privateKey(ref: string): KeyObject;
  /**
   * Judges `job.certificates` (end entity first) up to one of `job.trust` and whether the end entity proves `job.peer`, the
   * latter not when `job.identity.match` is `ignore`; with `job.pinned`, whether the end entity is one of those, and nothing
   * else. Gives the end entity's key and what is told of it; throws a `Fault` otherwise.
   * Without it no certificate is believed.
   */
  verifyChain?(job: VerifyJob): PeerCertificate & { readonly publicKey: KeyObject };
  readonly policy?: SignaturePolicy;
  /** TLS within EAP where the runner does it at once; runners whose TLS takes its time keep these jobs to themselves. */
  eapTls?(job: EapTlsJob): EapTlsResult;
  closeEapTls?(job: EapTlsCloseJob): void;
}

/** Does a crypto job at once. Throws the `Fault` of whatever refuses it; `failureOf` makes it an input of the engine. */
export function runCryptoJob(job: CryptoJob, keys: CryptoKeys, rng?: Rng): CryptoResult {
  switch (job.kind) {
    case "dh-generate":
      return { pair: generate(job.group, rng) };
    case "dh-compute":
      return { shared: shared(job.pair, job.peerValue) };
    case "dh-respond":
      return respond(job.group, job.peerValue, rng);
    case "sign":
      return { data: signAuth(keys.privateKey(job.key), job.scheme, job.octets) };
    case "verify": {
      if (!keys.verifyChain) throw fault("ike/bad-signature", "no certificate is believed here");
      const { publicKey, ...certificate } = keys.verifyChain(job);
      verifyAuth(publicKey, job.auth, job.octets, { ...keys.policy, accepted: job.signatures });
      return certificate;
    }
    case "eap-tls":
      if (!keys.eapTls) throw eapFault("ike/eap-tls", "no TLS is done here");
      return keys.eapTls(job);
    case "eap-tls-close":
      keys.closeEapTls?.(job);
      return {};
  }
}

/** An exception as data, for the engine's input `failed`. */
export function failureOf(error: unknown): Failure {
  if (isFault(error)) {
    const { code, message, field, value } = error;
    return { code, message, field, value, ...bothSides(error) };
  }
  return { code: "ike/runner", message: error instanceof Error ? error.message : String(error) };
}
