import { Injectable } from "@nestjs/common";
import { Database, type Tx } from "../../platform/database/database.js";
import type { Network, NetworkMember, Prisma } from "../../platform/prisma/generated/client.js";

export abstract class NetworkStore {
  abstract create(tx: Tx, data: Prisma.NetworkUncheckedCreateInput): Promise<Network>;
  abstract addMember(tx: Tx, data: Prisma.NetworkMemberUncheckedCreateInput): Promise<void>;
  abstract byId(tx: Tx, organizationId: string, id: string): Promise<Network | null>;
  abstract nameTaken(tx: Tx, organizationId: string, name: string): Promise<boolean>;
  abstract list(organizationId: string): Promise<Network[]>;
  abstract byIds(organizationId: string, ids: readonly string[]): Promise<Network[]>;
  /** Hubs by preference, then spokes by age. */
  abstract members(organizationId: string, networkIds: readonly string[]): Promise<NetworkMember[]>;
}

@Injectable()
export class PrismaNetworkStore extends NetworkStore {
  constructor(private readonly database: Database) {
    super();
  }

  override create(tx: Tx, data: Prisma.NetworkUncheckedCreateInput): Promise<Network> {
    return tx.network.create({ data });
  }

  override async addMember(tx: Tx, data: Prisma.NetworkMemberUncheckedCreateInput): Promise<void> {
    await tx.networkMember.create({ data, select: { id: true } });
  }

  override byId(tx: Tx, organizationId: string, id: string): Promise<Network | null> {
    return tx.network.findUnique({ where: { organizationId, id } });
  }

  override async nameTaken(tx: Tx, organizationId: string, name: string): Promise<boolean> {
    return (await tx.network.count({ where: { organizationId, name: { equals: name, mode: "insensitive" } } })) > 0;
  }

  override list(organizationId: string): Promise<Network[]> {
    return this.database.client.network.findMany({ where: { organizationId }, orderBy: { id: "asc" } });
  }

  override byIds(organizationId: string, ids: readonly string[]): Promise<Network[]> {
    return this.database.client.network.findMany({ where: { organizationId, id: { in: [...ids] } } });
  }

  override members(organizationId: string, networkIds: readonly string[]): Promise<NetworkMember[]> {
    return this.database.client.networkMember.findMany({
      where: { organizationId, networkId: { in: [...networkIds] } },
      orderBy: [{ role: "asc" }, { preference: "asc" }, { id: "asc" }],
    });
  }
}
