import type { ExecutionContext } from "@nestjs/common";
import type { Fault } from "@sallyport/base";

/** Port to the audit feature: keeps what a caller was refused before any resolver ran. */
export abstract class RefusalAudit {
  /** Never fails. */
  abstract refused(context: ExecutionContext, fault: Fault): Promise<void>;
}
