import { faultTable } from "@sallyport/base";

/** Faults of this library. `field` is a path into the model or the intent, e.g. `connections[0].children[1].localSubnets[0]`. */
export const fault = faultTable({
  /** The text is not JSON. */
  "intent/malformed": { retry: false, expose: true },
  /** Another `schema` than this library reads. */
  "intent/unsupported-schema": { retry: false, expose: true },
  /** A field of an intent or a model has a value that it may not have. */
  "intent/invalid-field": { retry: false, expose: true },
  /** An id points nowhere. */
  "intent/unknown-reference": { retry: false, expose: true },
  /** Two things that have to differ have the same id or name. */
  "intent/duplicate": { retry: false, expose: true },
  /** A proposal text that `parseProposal` cannot read. */
  "intent/bad-proposal": { retry: false, expose: true },
  /** Two prefixes of the fleet overlap; `facts` names both owners. */
  "intent/overlap": { retry: false, expose: true },
  /** Neither end of a tunnel can call the other. */
  "intent/unreachable": { retry: false, expose: true },
  /** A gateway lacks a fact that its intent needs, e.g. an address of the peer's DNS name. */
  "intent/missing-fact": { retry: true, expose: true },
  /** The proof: the two ends would not agree; `facts` has `ours`, `theirs` and `exchange`. */
  "intent/would-not-negotiate": { retry: false, expose: true },
});
