import type { Tx } from "../../platform/database/database.js";
import type { Severity } from "../../platform/prisma/generated/enums.js";

export interface NewEvent {
  /** `area/name`. */
  readonly kind: string;
  readonly severity: Severity;
  readonly message: string;
  readonly facts?: Readonly<Record<string, string>>;
  readonly siteId?: string | undefined;
  readonly gatewayId?: string | undefined;
  /** The row's id, not the key. */
  readonly tunnelId?: string | undefined;
  /** Given by the agent: of two events of a gateway with the same one, the first stays. */
  readonly sourceId?: string | undefined;
  /** Absent: now. */
  readonly at?: Date;
}

/** What an agent tells; `tunnelKey` is the connection's id in its intent. */
export interface AgentEvent extends Omit<NewEvent, "gatewayId" | "siteId" | "tunnelId"> {
  readonly sourceId: string;
  readonly tunnelKey: string | undefined;
}

/** The fleet's diary. */
export abstract class EventService {
  abstract record(tx: Tx, organizationId: string, ...events: readonly NewEvent[]): Promise<void>;
  /** Events of a gateway's agent, in a transaction of their own. */
  abstract fromAgent(gatewayId: string, events: readonly AgentEvent[]): Promise<void>;
}
