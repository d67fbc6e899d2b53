import { Injectable } from "@nestjs/common";
import type { Tx } from "../../platform/database/database.js";
import { apiFault } from "../../platform/faults.js";
import type { Rotation } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { checkIds, type RotationInput, RotationService } from "./rotation.service.js";
import type { NewItem } from "./rotation-starter.js";

export interface PreSharedKeysInput extends RotationInput {
  readonly tunnelIds?: readonly string[] | null | undefined;
}

/** Begins rotations of tunnels' pre-shared keys. */
@Injectable()
export class PreSharedKeyRotations {
  constructor(private readonly rotations: RotationService) {}

  /** Of these tunnels, or of every one whose two gateways are ours, are enrolled and use a pre-shared key. */
  begin(context: TenantContext, input: PreSharedKeysInput): Promise<Rotation> {
    const ids = checkIds(input.tunnelIds, "input.tunnelIds");
    return this.rotations.begin(context, "rotatePreSharedKeys", "PRE_SHARED_KEY", input, (tx) =>
      find(tx, context.organizationId, ids),
    );
  }
}

async function find(tx: Tx, organizationId: string, ids: readonly string[] | undefined): Promise<NewItem[]> {
  const rows = await tx.tunnel.findMany({
    where: {
      organizationId,
      network: { is: { organizationId, authentication: "PRE_SHARED_KEY" } },
      left: { is: { organizationId, state: "ENROLLED" } },
      right: { is: { organizationId, state: "ENROLLED" } },
      ...(ids ? { id: { in: [...ids] } } : {}),
    },
    orderBy: { id: "asc" },
    select: { id: true, name: true },
  });
  const found = new Map(rows.map((row) => [row.id, row]));
  const items = ids ?? [...found.keys()];
  return items.map((id, i) => {
    const row = found.get(id);
    if (row) return { subjectId: id, name: row.name };
    throw apiFault("api/not-found", "no tunnel whose pre-shared key could be rotated", {
      field: `input.tunnelIds[${i}]`,
      value: id,
      expected: "a tunnel between two enrolled gateways, in a network whose authentication is PRE_SHARED_KEY",
    });
  });
}
