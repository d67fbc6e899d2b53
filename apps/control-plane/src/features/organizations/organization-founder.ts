import { Injectable } from "@nestjs/common";
import type { Tx } from "../../platform/database/database.js";
import type { Organization } from "../../platform/prisma/generated/client.js";

export type Foundation = (tx: Tx, organization: Organization) => Promise<void>;

/** What features make in the same transaction as an organization: the certificates feature its CA, for one. They register at start. */
@Injectable()
export class OrganizationFounder {
  readonly #foundations: Foundation[] = [];

  register(foundation: Foundation): void {
    this.#foundations.push(foundation);
  }

  async found(tx: Tx, organization: Organization): Promise<void> {
    for (const foundation of this.#foundations) await foundation(tx, organization);
  }
}
