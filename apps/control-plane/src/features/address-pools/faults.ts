import { faultTable } from "@sallyport/base";

export const poolFault = faultTable({
  /** Addresses of two families, or twice the same, in one pool. */
  "pool/bad-addresses": { retry: false, expose: true },
  /** An address that the pool does not give. */
  "pool/not-in-pool": { retry: false, expose: true },
  /** The address is somebody else's. */
  "pool/address-taken": { retry: false, expose: true },
});
