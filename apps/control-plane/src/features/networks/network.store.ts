import { Injectable } from "@nestjs/common";
import { Database, type Tx } from "../../platform/database/database.js";
import { type PageRequest, pageQuery } from "../../platform/graphql/connection.js";
import type { Network, NetworkMember, Prisma } from "../../platform/prisma/generated/client.js";

export type Spoke = Pick<NetworkMember, "id" | "networkId" | "gatewayId">;

export abstract class NetworkStore {
  abstract create(tx: Tx, data: Prisma.NetworkUncheckedCreateInput): Promise<Network>;
  abstract addMember(tx: Tx, data: Prisma.NetworkMemberUncheckedCreateInput): Promise<void>;
  abstract byId(tx: Tx, organizationId: string, id: string): Promise<Network | null>;
  abstract nameTaken(tx: Tx, organizationId: string, name: string): Promise<boolean>;
  /** Oldest first. */
  abstract page(organizationId: string, request: PageRequest): Promise<Network[]>;
  abstract byIds(organizationId: string, ids: readonly string[]): Promise<Network[]>;
  /** By preference. */
  abstract hubs(organizationId: string, networkIds: readonly string[]): Promise<NetworkMember[]>;
  /** The same page of each network's spokes, oldest first. */
  abstract spokes(organizationId: string, networkIds: readonly string[], request: PageRequest): Promise<Spoke[]>;
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

  override page(organizationId: string, request: PageRequest): Promise<Network[]> {
    const { where, ...rest } = pageQuery(request, "asc");
    return this.database.client.network.findMany({ where: { organizationId, ...where }, ...rest });
  }

  override byIds(organizationId: string, ids: readonly string[]): Promise<Network[]> {
    return this.database.client.network.findMany({ where: { organizationId, id: { in: [...ids] } } });
  }

  override hubs(organizationId: string, networkIds: readonly string[]): Promise<NetworkMember[]> {
    return this.database.client.networkMember.findMany({
      where: { organizationId, networkId: { in: [...networkIds] }, role: "HUB" },
      orderBy: [{ preference: "asc" }, { id: "asc" }],
    });
  }

  override spokes(organizationId: string, networkIds: readonly string[], { after, take }: PageRequest) {
    return this.database.client.$queryRaw<Spoke[]>`
      SELECT m.id::text AS id, n.id::text AS "networkId", m.gateway_id::text AS "gatewayId"
      FROM unnest(${networkIds}::uuid[]) AS n (id)
      CROSS JOIN LATERAL (
        SELECT id, gateway_id FROM network_members
        WHERE organization_id = ${organizationId}::uuid AND network_id = n.id AND role = 'SPOKE'
          AND (${after ?? null}::uuid IS NULL OR id > ${after ?? null}::uuid)
        ORDER BY id LIMIT ${take}) m
      ORDER BY n.id, m.id`;
  }
}
