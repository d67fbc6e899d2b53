import type { Tx } from "../../platform/database/database.js";

/** A revision as it goes over the wire. `body` is canonical JSON with the secrets in it: it is for the agent alone. */
export interface DeliverableIntent {
  readonly organizationId: string;
  readonly gatewayId: string;
  readonly revision: number;
  readonly schemaVersion: number;
  readonly body: Uint8Array;
  /** SHA-256 over `body`, 32 octets. */
  readonly sha256: Uint8Array;
}

export interface Refusal {
  /** Fault code, `area/name`. */
  readonly code: string;
  readonly message: string;
  /** Path of the intent's field at fault; undefined when no one field is. */
  readonly field: string | undefined;
  readonly value: string | undefined;
  readonly expected: string | undefined;
}

/**
 * Revisions of gateways' intents. The methods that tell of an agent's answer may be called twice, and out of order with other
 * revisions; an unknown revision is ignored.
 */
export abstract class IntentService {
  /** Asks, in the caller's transaction, for a new compilation of the organization's intents, without `notBefore` at once. */
  abstract recompile(tx: Tx, organizationId: string, notBefore?: Date): Promise<void>;
  /** The newest revision of the gateway; where the agent refused it or went back from it, the newest that it had in force. */
  abstract latestFor(gatewayId: string): Promise<DeliverableIntent | undefined>;
  abstract pushed(gatewayId: string, revision: number): Promise<void>;
  /** The agent applied it. */
  abstract acked(gatewayId: string, revision: number): Promise<void>;
  /** The agent wrote it down as its last good one. */
  abstract confirmed(gatewayId: string, revision: number): Promise<void>;
  abstract nacked(gatewayId: string, revision: number, refusal: Refusal): Promise<void>;
  /** The agent lost the control plane and went back to `toRevision` (0: none). */
  abstract reverted(gatewayId: string, revision: number, toRevision: number, reason: string): Promise<void>;
}
