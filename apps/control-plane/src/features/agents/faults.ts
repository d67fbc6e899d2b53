import { faultTable } from "@sallyport/base";

/** Faults of the agents feature. */
export const fault = faultTable({
  "agents/cannot-listen": { retry: false, expose: true },
  /** No client certificate, or one that is not of the control channel's CA or names no gateway. */
  "agents/unauthenticated": { retry: false, expose: true },
  /** The certificate is revoked or unknown, or the gateway is retired. */
  "agents/revoked": { retry: false, expose: true },
});
