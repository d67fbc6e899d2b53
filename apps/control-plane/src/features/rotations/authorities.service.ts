import { Injectable } from "@nestjs/common";
import type { Rotation } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { AuthoritySuccession } from "../certificates/authority-succession.service.js";
import { type RotationInput, RotationService } from "./rotation.service.js";

/** Begins rotations of the authorities that certify an organization's gateways. */
@Injectable()
export class AuthorityRotations {
  constructor(
    private readonly rotations: RotationService,
    private readonly succession: AuthoritySuccession,
  ) {}

  /** The one that issues now alone, or the root above it too. */
  begin(context: TenantContext, level: "ISSUING" | "ROOT", input: RotationInput): Promise<Rotation> {
    const mutation = level === "ISSUING" ? "rotateIssuingAuthority" : "rotateRootAuthority";
    return this.rotations.begin(context, mutation, `${level}_AUTHORITY`, input, async (tx) => {
      const { id, name } = await this.succession.present(tx, context.organizationId, level);
      return [{ subjectId: id, name }];
    });
  }
}
