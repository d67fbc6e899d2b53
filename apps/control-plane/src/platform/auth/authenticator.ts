import type { TenantContext } from "../tenancy.js";

/** Where a request came from. */
export interface Origin {
  readonly address: string | undefined;
  readonly requestId: string | undefined;
}

/** Port to the operators feature: whose token it is. */
export abstract class Authenticator {
  /** @throws api/unauthenticated when the token is unknown, expired or revoked, or its operator disabled. */
  abstract authenticate(token: string, origin: Origin): Promise<TenantContext>;
}
