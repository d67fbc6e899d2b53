import { Injectable } from "@nestjs/common";
import { Database, type Tx } from "../../platform/database/database.js";
import { type PageRequest, pageQuery } from "../../platform/graphql/connection.js";
import type { AuditEntry, Prisma } from "../../platform/prisma/generated/client.js";

export abstract class AuditStore {
  abstract append(tx: Tx, entry: Prisma.AuditEntryUncheckedCreateInput): Promise<void>;
  /** Newest first. */
  abstract page(organizationId: string, request: PageRequest, targetId?: string): Promise<AuditEntry[]>;
}

@Injectable()
export class PrismaAuditStore extends AuditStore {
  constructor(private readonly database: Database) {
    super();
  }

  override async append(tx: Tx, data: Prisma.AuditEntryUncheckedCreateInput): Promise<void> {
    await tx.auditEntry.create({ data, select: { id: true } });
  }

  override page(organizationId: string, request: PageRequest, targetId?: string): Promise<AuditEntry[]> {
    const { where, ...rest } = pageQuery(request, "desc");
    const target = targetId === undefined ? {} : { targetId };
    return this.database.client.auditEntry.findMany({ where: { organizationId, ...target, ...where }, ...rest });
  }
}
