import { Injectable } from "@nestjs/common";
import { Database } from "../../platform/database/database.js";
import { apiFault } from "../../platform/faults.js";
import { checkUuid } from "../../platform/input.js";
import type { Tunnel, TunnelEnd } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { AuditService } from "../audit/audit.service.js";
import { TunnelService } from "../tunnels/tunnel.service.js";
import { AgentCommands, notConnected } from "./agent-commands.service.js";

export interface TunnelCommand {
  readonly tunnelId: string;
  /** Absent: the end that calls first. */
  readonly gatewayId?: string | null | undefined;
  /** Absent: the whole tunnel; to rekey, its IKE SA. */
  readonly childId?: string | null | undefined;
}

type Action = "initiate" | "terminate" | "rekey";

const MAX_CHILD_ID = 200;

/** Operators' commands about tunnels. */
@Injectable()
export class TunnelCommands {
  constructor(
    private readonly database: Database,
    private readonly commands: AgentCommands,
    private readonly tunnels: TunnelService,
    private readonly audit: AuditService,
  ) {}

  /**
   * Resolves when the agent has carried the command out: what comes of it, the tunnel's state tells.
   * @throws agents/not-connected, agents/no-answer, agents/command-refused
   */
  async give(context: TenantContext, mutation: string, action: Action, input: TunnelCommand): Promise<Tunnel> {
    const { organizationId } = context;
    const { tunnel, end } = await this.#find(context, input);
    const childId = input.childId ?? "";
    if (childId.length > MAX_CHILD_ID) {
      throw apiFault("api/bad-input", "not the name of a CHILD SA", {
        field: "input.childId",
        value: childId.slice(0, MAX_CHILD_ID),
        expected: "the name of one of the tunnel's CHILD SAs",
      });
    }
    const { gatewayId } = end;
    const gateway = { gatewayId, organizationId };
    if (!(await this.commands.reaches(gateway))) throw notConnected(gatewayId);
    await this.database.transaction((tx) =>
      this.audit.record(tx, context, {
        action: mutation,
        target: { kind: "tunnel", id: tunnel.id },
        after: { tunnel: tunnel.name, gatewayId, childId },
      }),
    );
    await this.commands.give(gateway, { case: action, value: { tunnelId: tunnel.key, childId } });
    return (await this.tunnels.get(context, tunnel.id)) ?? tunnel;
  }

  async #find(context: TenantContext, input: TunnelCommand): Promise<{ tunnel: Tunnel; end: TunnelEnd }> {
    const id = checkUuid(input.tunnelId, "input.tunnelId");
    const tunnel = await this.tunnels.get(context, id);
    if (tunnel === null) {
      throw apiFault("api/not-found", "there is no such tunnel", {
        field: "input.tunnelId",
        value: id,
        expected: "the id of a tunnel",
      });
    }
    const gatewayId = input.gatewayId ? checkUuid(input.gatewayId, "input.gatewayId") : tunnel.leftGatewayId;
    const ends = (await this.tunnels.ends(context, [id])).get(id) ?? [];
    const end = ends.find((e) => e.gatewayId === gatewayId);
    if (end) return { tunnel, end };
    throw apiFault("api/not-found", `${tunnel.name} has no such end`, {
      field: "input.gatewayId",
      value: gatewayId,
      expected: "the id of a gateway at one of the tunnel's ends",
    });
  }
}
