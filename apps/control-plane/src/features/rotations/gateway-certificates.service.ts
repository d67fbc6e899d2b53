import { Injectable } from "@nestjs/common";
import type { Tx } from "../../platform/database/database.js";
import { apiFault } from "../../platform/faults.js";
import type { Rotation } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { checkIds, type RotationInput, RotationService } from "./rotation.service.js";
import type { NewItem } from "./rotation-starter.js";

export interface GatewaysInput extends RotationInput {
  readonly gatewayIds?: readonly string[] | null | undefined;
}

/** Begins rotations of what gateways and their agents show, of these gateways or of all that are enrolled. */
@Injectable()
export class GatewayCertificateRotations {
  constructor(private readonly rotations: RotationService) {}

  begin(
    context: TenantContext,
    kind: "GATEWAY_CERTIFICATE" | "AGENT_CERTIFICATE",
    input: GatewaysInput,
  ): Promise<Rotation> {
    const ids = checkIds(input.gatewayIds, "input.gatewayIds");
    const mutation = kind === "GATEWAY_CERTIFICATE" ? "rotateGatewayCertificates" : "rotateAgentCertificates";
    return this.rotations.begin(context, mutation, kind, input, (tx) => find(tx, context.organizationId, ids));
  }
}

async function find(tx: Tx, organizationId: string, ids: readonly string[] | undefined): Promise<NewItem[]> {
  const rows = await tx.gateway.findMany({
    where: { organizationId, state: "ENROLLED", ...(ids ? { id: { in: [...ids] } } : {}) },
    orderBy: { id: "asc" },
    select: { id: true, name: true },
  });
  const found = new Map(rows.map((row) => [row.id, row]));
  return (ids ?? [...found.keys()]).map((id, i) => {
    const row = found.get(id);
    if (row) return { subjectId: id, name: row.name };
    throw apiFault("api/not-found", "no gateway whose certificate could be rotated", {
      field: `input.gatewayIds[${i}]`,
      value: id,
      expected: "a gateway that is enrolled",
    });
  });
}
