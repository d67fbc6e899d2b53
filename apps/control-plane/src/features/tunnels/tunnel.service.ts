import { Injectable } from "@nestjs/common";
import { type Connection, type PageArgs, page } from "../../platform/graphql/connection.js";
import type { ChildSa, IkeSa, Tunnel, TunnelEnd } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { type TunnelFilter, TunnelStore } from "./tunnel.store.js";

@Injectable()
export class TunnelService {
  constructor(private readonly store: TunnelStore) {}

  list(context: TenantContext, args: PageArgs, filter: TunnelFilter): Promise<Connection<Tunnel>> {
    return page(args, (request) => this.store.page(context.organizationId, request, filter));
  }

  byIds(context: TenantContext, ids: readonly string[]): Promise<Tunnel[]> {
    return this.store.byIds(context.organizationId, ids);
  }

  get(context: TenantContext, id: string): Promise<Tunnel | null> {
    return this.store.byId(context.organizationId, id);
  }

  ids(context: TenantContext): Promise<string[]> {
    return this.store.ids(context.organizationId);
  }

  async ends(context: TenantContext, tunnelIds: readonly string[]): Promise<ReadonlyMap<string, TunnelEnd[]>> {
    return Map.groupBy(await this.store.ends(context.organizationId, tunnelIds), (end) => end.tunnelId ?? "");
  }

  async ikeSas(context: TenantContext, endIds: readonly string[]): Promise<ReadonlyMap<string, IkeSa[]>> {
    return Map.groupBy(await this.store.ikeSas(context.organizationId, endIds), (sa) => sa.tunnelEndId);
  }

  async childSas(context: TenantContext, ikeSaIds: readonly string[]): Promise<ReadonlyMap<string, ChildSa[]>> {
    return Map.groupBy(await this.store.childSas(context.organizationId, ikeSaIds), (sa) => sa.ikeSaId);
  }
}
