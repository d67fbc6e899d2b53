import { Injectable } from "@nestjs/common";
import { Database, type Tx } from "../../platform/database/database.js";
import { type PageRequest, pageQuery } from "../../platform/graphql/connection.js";
import type {
  CertificateAuthority,
  Prisma,
  RemoteAccess,
  RemoteAccessGateway,
  RemoteAccessPool,
  RemoteAccessRule,
} from "../../platform/prisma/generated/client.js";

type Rule = Omit<Prisma.RemoteAccessRuleUncheckedCreateInput, "organizationId" | "remoteAccessId">;

export abstract class RemoteAccessStore {
  abstract create(tx: Tx, data: Prisma.RemoteAccessUncheckedCreateInput): Promise<RemoteAccess>;
  abstract update(
    tx: Tx,
    organizationId: string,
    id: string,
    data: Prisma.RemoteAccessUncheckedUpdateInput,
  ): Promise<RemoteAccess>;
  abstract remove(tx: Tx, organizationId: string, id: string): Promise<void>;
  abstract byId(tx: Tx, organizationId: string, id: string): Promise<RemoteAccess | null>;
  abstract nameTaken(tx: Tx, organizationId: string, name: string): Promise<boolean>;

  /** A root of the organization that is still trusted. */
  abstract root(
    tx: Tx,
    organizationId: string,
    id: string,
  ): Promise<Pick<CertificateAuthority, "id" | "purpose"> | null>;
  /** Of all services; those that were withdrawn too. */
  abstract placeOf(tx: Tx, organizationId: string, gatewayId: string): Promise<RemoteAccessGateway | null>;
  abstract sharesTaken(tx: Tx, organizationId: string, remoteAccessId: string): Promise<number[]>;
  abstract addGateway(tx: Tx, data: Prisma.RemoteAccessGatewayUncheckedCreateInput): Promise<void>;
  abstract withdraw(tx: Tx, organizationId: string, id: string, at: Date | null): Promise<void>;

  abstract serviceOfPool(tx: Tx, organizationId: string, poolId: string): Promise<string | undefined>;
  /** In order of preference; all that were there go. */
  abstract setPools(tx: Tx, organizationId: string, remoteAccessId: string, poolIds: readonly string[]): Promise<void>;
  /** All that were there of the same kind go. */
  abstract setRules(
    tx: Tx,
    organizationId: string,
    remoteAccessId: string,
    kind: "group" | "person",
    rules: readonly Rule[],
  ): Promise<void>;

  /** Oldest first. */
  abstract page(organizationId: string, request: PageRequest): Promise<RemoteAccess[]>;
  /** Those that serve, by share. */
  abstract gateways(organizationId: string, ids: readonly string[]): Promise<RemoteAccessGateway[]>;
  /** By preference. */
  abstract pools(organizationId: string, ids: readonly string[]): Promise<RemoteAccessPool[]>;
  abstract rules(organizationId: string, ids: readonly string[]): Promise<RemoteAccessRule[]>;
}

@Injectable()
export class PrismaRemoteAccessStore extends RemoteAccessStore {
  constructor(private readonly database: Database) {
    super();
  }

  override create(tx: Tx, data: Prisma.RemoteAccessUncheckedCreateInput): Promise<RemoteAccess> {
    return tx.remoteAccess.create({ data });
  }

  override update(tx: Tx, organizationId: string, id: string, data: Prisma.RemoteAccessUncheckedUpdateInput) {
    return tx.remoteAccess.update({ where: { organizationId, id }, data });
  }

  override async remove(tx: Tx, organizationId: string, id: string): Promise<void> {
    await tx.remoteAccess.delete({ where: { organizationId, id }, select: { id: true } });
  }

  override byId(tx: Tx, organizationId: string, id: string): Promise<RemoteAccess | null> {
    return tx.remoteAccess.findUnique({ where: { organizationId, id } });
  }

  override async nameTaken(tx: Tx, organizationId: string, name: string): Promise<boolean> {
    const where = { organizationId, name: { equals: name, mode: "insensitive" as const } };
    return (await tx.remoteAccess.count({ where })) > 0;
  }

  override root(tx: Tx, organizationId: string, id: string) {
    const where = { organizationId, id, level: "ROOT", distrustedAt: null } as const;
    return tx.certificateAuthority.findFirst({ where, select: { id: true, purpose: true } });
  }

  override placeOf(tx: Tx, organizationId: string, gatewayId: string): Promise<RemoteAccessGateway | null> {
    return tx.remoteAccessGateway.findFirst({ where: { organizationId, gatewayId } });
  }

  override async sharesTaken(tx: Tx, organizationId: string, remoteAccessId: string): Promise<number[]> {
    const rows = await tx.remoteAccessGateway.findMany({ where: { organizationId, remoteAccessId } });
    return rows.map((row) => row.share);
  }

  override async addGateway(tx: Tx, data: Prisma.RemoteAccessGatewayUncheckedCreateInput): Promise<void> {
    await tx.remoteAccessGateway.create({ data, select: { id: true } });
  }

  override async withdraw(tx: Tx, organizationId: string, id: string, withdrawnAt: Date | null): Promise<void> {
    await tx.remoteAccessGateway.update({ where: { organizationId, id }, data: { withdrawnAt }, select: { id: true } });
  }

  override async serviceOfPool(tx: Tx, organizationId: string, poolId: string): Promise<string | undefined> {
    return (await tx.remoteAccessPool.findFirst({ where: { organizationId, poolId } }))?.remoteAccessId;
  }

  override async setPools(tx: Tx, organizationId: string, remoteAccessId: string, poolIds: readonly string[]) {
    await tx.remoteAccessPool.deleteMany({ where: { organizationId, remoteAccessId } });
    const data = poolIds.map((poolId, preference) => ({ organizationId, remoteAccessId, poolId, preference }));
    if (data.length > 0) await tx.remoteAccessPool.createMany({ data });
  }

  override async setRules(
    tx: Tx,
    organizationId: string,
    remoteAccessId: string,
    kind: "group" | "person",
    rules: readonly Rule[],
  ): Promise<void> {
    const column = kind === "group" ? "groupId" : "roadWarriorId";
    await tx.remoteAccessRule.deleteMany({ where: { organizationId, remoteAccessId, [column]: { not: null } } });
    const data = rules.map((rule) => ({ ...rule, organizationId, remoteAccessId }));
    if (data.length > 0) await tx.remoteAccessRule.createMany({ data });
  }

  override page(organizationId: string, request: PageRequest): Promise<RemoteAccess[]> {
    const { where, ...rest } = pageQuery(request, "asc");
    return this.database.client.remoteAccess.findMany({ where: { organizationId, ...where }, ...rest });
  }

  override gateways(organizationId: string, ids: readonly string[]): Promise<RemoteAccessGateway[]> {
    return this.database.client.remoteAccessGateway.findMany({
      where: { organizationId, remoteAccessId: { in: [...ids] }, withdrawnAt: null },
      orderBy: { share: "asc" },
    });
  }

  override pools(organizationId: string, ids: readonly string[]): Promise<RemoteAccessPool[]> {
    return this.database.client.remoteAccessPool.findMany({
      where: { organizationId, remoteAccessId: { in: [...ids] } },
      orderBy: { preference: "asc" },
    });
  }

  override rules(organizationId: string, ids: readonly string[]): Promise<RemoteAccessRule[]> {
    return this.database.client.remoteAccessRule.findMany({
      where: { organizationId, remoteAccessId: { in: [...ids] } },
      orderBy: [{ preference: "asc" }, { id: "asc" }],
    });
  }
}
