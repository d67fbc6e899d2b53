import { faultTable } from "@sallyport/base";

/** Faults of DNS messages. No key is ever part of one. */
export const fault = faultTable({
  /** Not a DNS message, or one that is longer or deeper than messages are. */
  "dns/malformed": { retry: true, expose: true },
  /** No domain name as it can stand in a message. */
  "dns/bad-name": { retry: false, expose: true },
  /** An answer to a signed message bears no signature, or one that is not its key's. */
  "dns/bad-signature": { retry: true, expose: true },
  /** An answer is to another message. */
  "dns/wrong-answer": { retry: true, expose: true },
  /** The clocks are too far apart (RFC 8945 §5.2.3). */
  "dns/bad-time": { retry: true, expose: true },
});
