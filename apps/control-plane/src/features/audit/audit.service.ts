import type { Tx } from "../../platform/database/database.js";
import type { TenantContext } from "../../platform/tenancy.js";

export interface Change {
  /** The mutation's name. */
  readonly action: string;
  readonly target: { readonly kind: string; readonly id: string };
  /** Plain values before and after; whatever is a secret is masked by its name. */
  readonly before?: Readonly<Record<string, unknown>> | undefined;
  readonly after?: Readonly<Record<string, unknown>> | undefined;
}

/** Writes who changed what, in the transaction of the change itself. */
export abstract class AuditService {
  abstract record(tx: Tx, context: TenantContext, change: Change): Promise<void>;
}
