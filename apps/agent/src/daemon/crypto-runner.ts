import type { CryptoJob, CryptoResult, Failure } from "@sallyport/ike";

export type CryptoAnswer =
  | { readonly ok: true; readonly result: CryptoResult }
  | { readonly ok: false; readonly failure: Failure };

/** Does a crypto job now, or on another thread. What refuses the job is its answer; nothing is thrown. */
export interface CryptoRunner {
  run(job: CryptoJob): CryptoAnswer | Promise<CryptoAnswer>;
}
