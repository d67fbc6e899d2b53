import { Injectable } from "@nestjs/common";
import { Database, type Tx } from "../../platform/database/database.js";
import { type PageRequest, pageQuery } from "../../platform/graphql/connection.js";
import type { Gateway, Prisma } from "../../platform/prisma/generated/client.js";
import type { GatewayState } from "../../platform/prisma/generated/enums.js";

export interface GatewayFilter {
  readonly siteId?: string;
  readonly state?: GatewayState;
}

export abstract class GatewayStore {
  abstract create(tx: Tx, data: Prisma.GatewayUncheckedCreateInput): Promise<Gateway>;
  abstract update(
    tx: Tx,
    organizationId: string,
    id: string,
    data: Prisma.GatewayUncheckedUpdateInput,
  ): Promise<Gateway>;
  /** Marks it retired and takes it out of its networks. */
  abstract retire(tx: Tx, organizationId: string, id: string): Promise<Gateway>;
  /** Name of something that cannot be without this gateway. */
  abstract dependentOn(tx: Tx, organizationId: string, id: string): Promise<string | undefined>;
  abstract byId(tx: Tx, organizationId: string, id: string): Promise<Gateway | null>;
  abstract nameTaken(tx: Tx, organizationId: string, name: string): Promise<boolean>;
  abstract identityTaken(tx: Tx, identity: string): Promise<boolean>;
  abstract byIds(organizationId: string, ids: readonly string[]): Promise<Gateway[]>;
  abstract ofSites(organizationId: string, siteIds: readonly string[]): Promise<Gateway[]>;
  abstract page(organizationId: string, request: PageRequest, filter: GatewayFilter): Promise<Gateway[]>;
}

@Injectable()
export class PrismaGatewayStore extends GatewayStore {
  constructor(private readonly database: Database) {
    super();
  }

  override create(tx: Tx, data: Prisma.GatewayUncheckedCreateInput): Promise<Gateway> {
    return tx.gateway.create({ data });
  }

  override update(
    tx: Tx,
    organizationId: string,
    id: string,
    data: Prisma.GatewayUncheckedUpdateInput,
  ): Promise<Gateway> {
    return tx.gateway.update({ where: { organizationId, id }, data });
  }

  override async retire(tx: Tx, organizationId: string, id: string): Promise<Gateway> {
    await tx.networkMember.deleteMany({ where: { organizationId, gatewayId: id } });
    return tx.gateway.update({ where: { organizationId, id }, data: { state: "RETIRED" } });
  }

  override async dependentOn(tx: Tx, organizationId: string, id: string): Promise<string | undefined> {
    const peer = await tx.externalPeer.findFirst({ where: { organizationId, gatewayId: id }, select: { name: true } });
    if (peer) return `the external peer ${peer.name}`;
    const network = await tx.network.findFirst({
      where: {
        organizationId,
        members: {
          some: { organizationId, gatewayId: id, role: "HUB" },
          none: { gatewayId: { not: id }, role: "HUB" },
        },
      },
      select: { name: true },
    });
    return network ? `the network ${network.name}` : undefined;
  }

  override byId(tx: Tx, organizationId: string, id: string): Promise<Gateway | null> {
    return tx.gateway.findUnique({ where: { organizationId, id } });
  }

  override async nameTaken(tx: Tx, organizationId: string, name: string): Promise<boolean> {
    return (await tx.gateway.count({ where: { organizationId, name: { equals: name, mode: "insensitive" } } })) > 0;
  }

  override async identityTaken(tx: Tx, identity: string): Promise<boolean> {
    return (await tx.gateway.count({ where: { identity } })) > 0;
  }

  override byIds(organizationId: string, ids: readonly string[]): Promise<Gateway[]> {
    return this.database.client.gateway.findMany({ where: { organizationId, id: { in: [...ids] } } });
  }

  override ofSites(organizationId: string, siteIds: readonly string[]): Promise<Gateway[]> {
    return this.database.client.gateway.findMany({
      where: { organizationId, siteId: { in: [...siteIds] }, state: { not: "RETIRED" } },
      orderBy: { id: "asc" },
    });
  }

  override page(organizationId: string, request: PageRequest, filter: GatewayFilter): Promise<Gateway[]> {
    const { where, ...rest } = pageQuery(request, "asc");
    const state = filter.state ?? { not: "RETIRED" as const };
    return this.database.client.gateway.findMany({ where: { organizationId, ...filter, state, ...where }, ...rest });
  }
}
