import { Injectable } from "@nestjs/common";
import type { Rotation } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { Resealing } from "../master-key/resealing.js";
import { tableId } from "./master-key.saga.js";
import { type RotationInput, RotationService } from "./rotation.service.js";

/** Begins rotations of the master key: an organization's sealed values come under the first one that is configured. */
@Injectable()
export class MasterKeyRotations {
  constructor(
    private readonly rotations: RotationService,
    private readonly resealing: Resealing,
  ) {}

  /** @throws rotation/nothing-to-do when all is sealed under the first key, rotation/under-way */
  begin(context: TenantContext, input: RotationInput): Promise<Rotation> {
    return this.rotations.begin(context, "rotateMasterKey", "MASTER_KEY", input, async (tx) => {
      const tables = await this.resealing.stale(tx, context.organizationId);
      return tables.map((table) => ({ subjectId: tableId(table, this.resealing.keyId), name: table.model }));
    });
  }
}
