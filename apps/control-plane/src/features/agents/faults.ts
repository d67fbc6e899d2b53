import { faultTable } from "@sallyport/base";

/** Faults of the agents feature. */
export const fault = faultTable({
  "agents/cannot-listen": { retry: false, expose: true },
  /** No client certificate, or one that is not of the control channel's CA or names no gateway. */
  "agents/unauthenticated": { retry: false, expose: true },
  /** The certificate is revoked or unknown, or the gateway is retired. */
  "agents/revoked": { retry: false, expose: true },
  /** The gateway's agent has no open stream, or lost it before it answered. */
  "agents/not-connected": { retry: true, expose: true },
  /** Whether the agent carried the command out is not known. */
  "agents/no-answer": { retry: true, expose: true },
  /** It reports more SAs than are kept of one gateway; those beyond are not. */
  "agents/too-many-sas": { retry: false, expose: true },
  /** The agent did not carry the command out; `facts.reason` is its own code. */
  "agents/command-refused": { retry: false, expose: true },
});
