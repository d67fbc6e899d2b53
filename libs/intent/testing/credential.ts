import type { Credential } from "../src/local-facts.js";

/** A certificate that nobody looks at. */
export const OWN_CREDENTIAL: Credential = {
  key: "own",
  keyKind: { type: "ec", curve: "P-256" },
  chain: [Uint8Array.of(1)],
  authorities: [],
  subject: { type: "fqdn", name: "own.example" },
};
