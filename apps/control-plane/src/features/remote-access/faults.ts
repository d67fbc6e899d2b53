import { faultTable } from "@sallyport/base";

export const remoteAccessFault = faultTable({
  /** A gateway serves one service of remote access at most, also after it was withdrawn from it. */
  "remote-access/gateway-taken": { retry: false, expose: true },
  /** A pool belongs to one service, whose gateways share it. */
  "remote-access/pool-taken": { retry: false, expose: true },
  /** Every share of the pools has its gateway. */
  "remote-access/no-share-left": { retry: false, expose: true },
});
