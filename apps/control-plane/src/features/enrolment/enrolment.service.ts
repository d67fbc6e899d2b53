import type { Tx } from "../../platform/database/database.js";
import type { TenantContext } from "../../platform/tenancy.js";

/** What the operator takes to the new gateway. The token's text is shown this once and never stored. */
export interface IssuedEnrolment {
  /** The whole command to run on the gateway. */
  readonly command: string;
  readonly token: string;
  readonly expiresAt: Date;
}

/** Hands out enrolment tokens. */
export abstract class EnrolmentService {
  /**
   * Makes a one-off token for a gateway of the context's organization, within the caller's transaction, and makes any earlier
   * unused token of the gateway worthless. Writes no audit entry: the caller's does.
   */
  abstract issue(tx: Tx, context: TenantContext, gatewayId: string): Promise<IssuedEnrolment>;
}
