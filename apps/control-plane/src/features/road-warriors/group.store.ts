import { Injectable } from "@nestjs/common";
import { Database, type Tx } from "../../platform/database/database.js";
import { type PageRequest, pageQuery } from "../../platform/graphql/connection.js";
import type { RoadWarriorGroup } from "../../platform/prisma/generated/client.js";

export type GroupOfPerson = RoadWarriorGroup & { readonly roadWarriorId: string };

export abstract class GroupStore {
  abstract create(tx: Tx, organizationId: string, name: string): Promise<RoadWarriorGroup>;
  abstract rename(tx: Tx, organizationId: string, id: string, name: string): Promise<RoadWarriorGroup>;
  abstract remove(tx: Tx, organizationId: string, id: string): Promise<void>;
  abstract byId(tx: Tx, organizationId: string, id: string): Promise<RoadWarriorGroup | null>;
  abstract nameTaken(tx: Tx, organizationId: string, name: string): Promise<boolean>;
  /** Name of a remote access that lets the group in. */
  abstract userOf(tx: Tx, organizationId: string, id: string): Promise<string | undefined>;
  abstract byIds(organizationId: string, ids: readonly string[]): Promise<RoadWarriorGroup[]>;
  /** By name. */
  abstract ofPeople(organizationId: string, personIds: readonly string[]): Promise<GroupOfPerson[]>;
  /** Oldest first. */
  abstract page(organizationId: string, request: PageRequest): Promise<RoadWarriorGroup[]>;
}

@Injectable()
export class PrismaGroupStore extends GroupStore {
  constructor(private readonly database: Database) {
    super();
  }

  override create(tx: Tx, organizationId: string, name: string): Promise<RoadWarriorGroup> {
    return tx.roadWarriorGroup.create({ data: { organizationId, name } });
  }

  override rename(tx: Tx, organizationId: string, id: string, name: string): Promise<RoadWarriorGroup> {
    return tx.roadWarriorGroup.update({ where: { organizationId, id }, data: { name } });
  }

  override async remove(tx: Tx, organizationId: string, id: string): Promise<void> {
    await tx.roadWarriorGroup.delete({ where: { organizationId, id }, select: { id: true } });
  }

  override byId(tx: Tx, organizationId: string, id: string): Promise<RoadWarriorGroup | null> {
    return tx.roadWarriorGroup.findUnique({ where: { organizationId, id } });
  }

  override async nameTaken(tx: Tx, organizationId: string, name: string): Promise<boolean> {
    const where = { organizationId, name: { equals: name, mode: "insensitive" as const } };
    return (await tx.roadWarriorGroup.count({ where })) > 0;
  }

  override async userOf(tx: Tx, organizationId: string, groupId: string): Promise<string | undefined> {
    const include = { remoteAccess: { select: { name: true } } };
    return (await tx.remoteAccessRule.findFirst({ where: { organizationId, groupId }, include }))?.remoteAccess.name;
  }

  override byIds(organizationId: string, ids: readonly string[]): Promise<RoadWarriorGroup[]> {
    return this.database.client.roadWarriorGroup.findMany({ where: { organizationId, id: { in: [...ids] } } });
  }

  override async ofPeople(organizationId: string, personIds: readonly string[]): Promise<GroupOfPerson[]> {
    const rows = await this.database.client.roadWarriorGroupMember.findMany({
      where: { organizationId, roadWarriorId: { in: [...personIds] } },
      include: { group: true },
      orderBy: { group: { name: "asc" } },
    });
    return rows.map(({ group, roadWarriorId }) => ({ ...group, roadWarriorId }));
  }

  override page(organizationId: string, request: PageRequest): Promise<RoadWarriorGroup[]> {
    const { where, ...rest } = pageQuery(request, "asc");
    return this.database.client.roadWarriorGroup.findMany({ where: { organizationId, ...where }, ...rest });
  }
}
