import { Injectable } from "@nestjs/common";
import { SessionStore } from "./session.store.js";

/** Whether gateways' agents are connected, for whoever shows gateways. */
@Injectable()
export class AgentConnections {
  constructor(private readonly store: SessionStore) {}

  /** Those of `gatewayIds` whose agent has a stream to any replica. */
  connected(organizationId: string, gatewayIds: readonly string[]): Promise<ReadonlySet<string>> {
    return this.store.connected(organizationId, gatewayIds);
  }
}
