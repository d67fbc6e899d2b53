import { Injectable } from "@nestjs/common";
import { Database, type Tx } from "../../platform/database/database.js";
import { type PageRequest, pageQuery } from "../../platform/graphql/connection.js";
import type { Prisma, RoadWarrior } from "../../platform/prisma/generated/client.js";

export interface PersonFilter {
  readonly groupId?: string;
  readonly enabled?: boolean;
}

export abstract class RoadWarriorStore {
  abstract create(tx: Tx, data: Prisma.RoadWarriorUncheckedCreateInput): Promise<RoadWarrior>;
  abstract update(
    tx: Tx,
    organizationId: string,
    id: string,
    data: Prisma.RoadWarriorUncheckedUpdateInput,
  ): Promise<RoadWarrior>;
  /** With the person's memberships and own addresses. */
  abstract remove(tx: Tx, organizationId: string, id: string): Promise<void>;
  abstract byId(tx: Tx, organizationId: string, id: string): Promise<RoadWarrior | null>;
  abstract usernameTaken(tx: Tx, organizationId: string, username: string): Promise<boolean>;
  abstract groupIds(tx: Tx, organizationId: string, personId: string): Promise<string[]>;
  abstract setGroups(tx: Tx, organizationId: string, personId: string, groupIds: readonly string[]): Promise<void>;
  abstract byIds(organizationId: string, ids: readonly string[]): Promise<RoadWarrior[]>;
  /** Oldest first. */
  abstract page(organizationId: string, request: PageRequest, filter: PersonFilter): Promise<RoadWarrior[]>;
}

@Injectable()
export class PrismaRoadWarriorStore extends RoadWarriorStore {
  constructor(private readonly database: Database) {
    super();
  }

  override create(tx: Tx, data: Prisma.RoadWarriorUncheckedCreateInput): Promise<RoadWarrior> {
    return tx.roadWarrior.create({ data });
  }

  override update(tx: Tx, organizationId: string, id: string, data: Prisma.RoadWarriorUncheckedUpdateInput) {
    return tx.roadWarrior.update({ where: { organizationId, id }, data });
  }

  override async remove(tx: Tx, organizationId: string, id: string): Promise<void> {
    await tx.roadWarrior.delete({ where: { organizationId, id }, select: { id: true } });
  }

  override byId(tx: Tx, organizationId: string, id: string): Promise<RoadWarrior | null> {
    return tx.roadWarrior.findUnique({ where: { organizationId, id } });
  }

  override async usernameTaken(tx: Tx, organizationId: string, username: string): Promise<boolean> {
    return (await tx.roadWarrior.count({ where: { organizationId, username } })) > 0;
  }

  override async groupIds(tx: Tx, organizationId: string, roadWarriorId: string): Promise<string[]> {
    const where = { organizationId, roadWarriorId };
    const rows = await tx.roadWarriorGroupMember.findMany({ where, orderBy: { groupId: "asc" } });
    return rows.map((row) => row.groupId);
  }

  override async setGroups(tx: Tx, organizationId: string, roadWarriorId: string, groupIds: readonly string[]) {
    const where = { organizationId, roadWarriorId };
    await tx.roadWarriorGroupMember.deleteMany({ where: { ...where, groupId: { notIn: [...groupIds] } } });
    const data = groupIds.map((groupId) => ({ ...where, groupId }));
    if (data.length > 0) await tx.roadWarriorGroupMember.createMany({ data, skipDuplicates: true });
  }

  override byIds(organizationId: string, ids: readonly string[]): Promise<RoadWarrior[]> {
    return this.database.client.roadWarrior.findMany({ where: { organizationId, id: { in: [...ids] } } });
  }

  override page(organizationId: string, request: PageRequest, { groupId, enabled }: PersonFilter) {
    const { where, ...rest } = pageQuery(request, "asc");
    const filter = {
      ...(enabled === undefined ? {} : { enabled }),
      ...(groupId === undefined ? {} : { memberships: { some: { organizationId, groupId } } }),
    };
    return this.database.client.roadWarrior.findMany({ where: { organizationId, ...filter, ...where }, ...rest });
  }
}
