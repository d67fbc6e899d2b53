import { faultTable } from "@sallyport/base";

/** Faults of certificates of public authorities. Where a directory said something, `facts.problem` is its problem document. */
export const fault = faultTable({
  /** No connection, no answer in time, or an error of the directory's own. */
  "acme/unreachable": { retry: true, expose: true },
  /** The directory wants to be left alone for a while. */
  "acme/rate-limited": { retry: true, expose: true },
  /** The directory refused a request for good. */
  "acme/refused": { retry: false, expose: true },
  /** The directory could not see that the gateway has the name. */
  "acme/challenge-failed": { retry: false, expose: true },
  /** The directory offers no challenge of the wanted type for a name. */
  "acme/no-such-challenge": { retry: false, expose: true },
  /** What the directory said makes no sense. */
  "acme/bad-answer": { retry: true, expose: true },
  /** What the directory issued is not what was asked for. */
  "acme/wrong-certificate": { retry: false, expose: true },
  /** The gateway's agent cannot make requests: it is of an older version. */
  "acme/agent-too-old": { retry: false, expose: true },
  /** As many orders were begun within a week as the account may begin. */
  "acme/budget-spent": { retry: true, expose: true },
  /** The directory refused the account. */
  "acme/account-failed": { retry: false, expose: true },
  /** An order of the certificate is under way. */
  "acme/order-running": { retry: true, expose: true },
  /** It was tried for as long as is worth while. */
  "acme/given-up": { retry: false, expose: true },
});
