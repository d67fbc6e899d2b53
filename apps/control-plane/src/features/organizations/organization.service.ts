import { Injectable } from "@nestjs/common";
import { Database, type Tx } from "../../platform/database/database.js";
import { apiFault } from "../../platform/faults.js";
import { checkName, labelOf } from "../../platform/input.js";
import type { Organization } from "../../platform/prisma/generated/client.js";
import { OrganizationFounder } from "./organization-founder.js";

@Injectable()
export class OrganizationService {
  constructor(
    private readonly database: Database,
    private readonly founders: OrganizationFounder,
  ) {}

  /** Any number; the installation is fresh when there is none. */
  count(tx: Tx): Promise<number> {
    return tx.organization.count();
  }

  /** Also lets the other features make what an organization cannot be without. */
  async found(tx: Tx, rawName: string): Promise<Organization> {
    const name = checkName(rawName, "name");
    const organization = await tx.organization.create({ data: { name, slug: labelOf(name, "name") } });
    await this.founders.found(tx, organization);
    return organization;
  }

  async get(organizationId: string): Promise<Organization> {
    const found = await this.database.client.organization.findUnique({ where: { id: organizationId } });
    if (!found)
      throw apiFault("api/not-found", "there is no such organization", {
        field: "organizationId",
        value: organizationId,
      });
    return found;
  }
}
