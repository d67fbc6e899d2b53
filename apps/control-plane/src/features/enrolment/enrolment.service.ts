import type { EnrolRequest, EnrolResponse } from "@sallyport/contract";
import type { Tx } from "../../platform/database/database.js";
import type { TenantContext } from "../../platform/tenancy.js";

/** What the operator takes to the new gateway. The token's text is shown this once and never stored. */
export interface IssuedEnrolment {
  /** The whole command to run on the gateway. */
  readonly command: string;
  readonly token: string;
  readonly expiresAt: Date;
}

/** Hands out enrolment tokens, and makes agents of those who bring them. */
export abstract class EnrolmentService {
  /**
   * Makes a one-off token for a gateway of the context's organization, within the caller's transaction, and makes any earlier
   * unused token of the gateway worthless. Writes no audit entry: the caller's does.
   */
  abstract issue(tx: Tx, context: TenantContext, gatewayId: string): Promise<IssuedEnrolment>;

  /**
   * A new token for a gateway that has lost its agent or never got one, with an audit entry. Its present agent goes on until the
   * token is used.
   * @throws api/not-found, enrolment/gateway-retired
   */
  abstract reissue(context: TenantContext, gatewayId: string): Promise<IssuedEnrolment>;

  /**
   * Takes a token and gives certificates. Either all of it happens or nothing: a refused request leaves the token as it was.
   * @throws enrolment/*, and pki/* for requests that are not good
   */
  abstract enrol(request: EnrolRequest, origin: string | undefined): Promise<EnrolResponse>;
}
