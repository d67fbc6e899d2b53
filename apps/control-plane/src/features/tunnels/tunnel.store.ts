import { Injectable } from "@nestjs/common";
import { Database } from "../../platform/database/database.js";
import { type PageRequest, pageQuery } from "../../platform/graphql/connection.js";
import type { ChildSa, IkeSa, Tunnel, TunnelEnd } from "../../platform/prisma/generated/client.js";
import type { TunnelState } from "../../platform/prisma/generated/enums.js";

export interface TunnelFilter {
  readonly state?: TunnelState;
  readonly gatewayId?: string;
  readonly networkId?: string;
  readonly externalPeerId?: string;
}

/** Reads what agents reported. */
export abstract class TunnelStore {
  abstract page(organizationId: string, request: PageRequest, filter: TunnelFilter): Promise<Tunnel[]>;
  abstract byId(organizationId: string, id: string): Promise<Tunnel | null>;
  abstract byIds(organizationId: string, ids: readonly string[]): Promise<Tunnel[]>;
  abstract ids(organizationId: string): Promise<string[]>;
  abstract ends(organizationId: string, tunnelIds: readonly string[]): Promise<TunnelEnd[]>;
  abstract ikeSas(organizationId: string, endIds: readonly string[]): Promise<IkeSa[]>;
  abstract childSas(organizationId: string, ikeSaIds: readonly string[]): Promise<ChildSa[]>;
}

@Injectable()
export class PrismaTunnelStore extends TunnelStore {
  constructor(private readonly database: Database) {
    super();
  }

  override page(organizationId: string, request: PageRequest, filter: TunnelFilter): Promise<Tunnel[]> {
    const { where, ...rest } = pageQuery(request, "asc");
    const { gatewayId, ...columns } = filter;
    const ofGateway = gatewayId === undefined ? {} : { ends: { some: { organizationId, gatewayId } } };
    return this.database.client.tunnel.findMany({
      where: { organizationId, ...columns, ...ofGateway, ...where },
      ...rest,
    });
  }

  override byId(organizationId: string, id: string): Promise<Tunnel | null> {
    return this.database.client.tunnel.findUnique({ where: { organizationId, id } });
  }

  override byIds(organizationId: string, ids: readonly string[]): Promise<Tunnel[]> {
    return this.database.client.tunnel.findMany({ where: { organizationId, id: { in: [...ids] } } });
  }

  override async ids(organizationId: string): Promise<string[]> {
    const rows = await this.database.client.tunnel.findMany({ where: { organizationId }, select: { id: true } });
    return rows.map((row) => row.id);
  }

  override ends(organizationId: string, tunnelIds: readonly string[]): Promise<TunnelEnd[]> {
    return this.database.client.tunnelEnd.findMany({
      where: { organizationId, tunnelId: { in: [...tunnelIds] } },
      orderBy: { id: "asc" },
    });
  }

  override ikeSas(organizationId: string, endIds: readonly string[]): Promise<IkeSa[]> {
    return this.database.client.ikeSa.findMany({
      where: { organizationId, tunnelEndId: { in: [...endIds] } },
      orderBy: { id: "asc" },
    });
  }

  override childSas(organizationId: string, ikeSaIds: readonly string[]): Promise<ChildSa[]> {
    return this.database.client.childSa.findMany({
      where: { organizationId, ikeSaId: { in: [...ikeSaIds] } },
      orderBy: { id: "asc" },
    });
  }
}
