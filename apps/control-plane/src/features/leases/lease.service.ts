import { Injectable } from "@nestjs/common";
import { IpAddress } from "@sallyport/base";
import { type Connection, type PageArgs, page } from "../../platform/graphql/connection.js";
import { checkUuid } from "../../platform/input.js";
import type { IkeSa, Lease, StaticLease } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { type LeaseFilter, LeaseStore, type PoolUse } from "./lease.store.js";

/** Reads the record of leases. */
@Injectable()
export class LeaseService {
  constructor(private readonly store: LeaseStore) {}

  /** Newest first. */
  list(context: TenantContext, args: PageArgs, filter: LeaseFilter): Promise<Connection<Lease>> {
    const { poolId, gatewayId, roadWarriorId, address, ...rest } = filter;
    const checked = {
      ...rest,
      ...(poolId !== undefined && { poolId: checkUuid(poolId, "filter.poolId") }),
      ...(gatewayId !== undefined && { gatewayId: checkUuid(gatewayId, "filter.gatewayId") }),
      ...(roadWarriorId !== undefined && { roadWarriorId: checkUuid(roadWarriorId, "filter.roadWarriorId") }),
      ...(address !== undefined && { address: IpAddress.parse(address, "filter.address").toString() }),
    };
    return page(args, (request) => this.store.page(context.organizationId, request, checked));
  }

  /** By address: who holds it now. */
  async openAt(context: TenantContext, addresses: readonly string[]): Promise<ReadonlyMap<string, Lease>> {
    const leases = await this.store.openAt(context.organizationId, addresses);
    return new Map(leases.toReversed().map((lease) => [lease.address, lease]));
  }

  /** By lease's id: the newest IKE SA whose peer holds it. */
  async ikeSas(context: TenantContext, leaseIds: readonly string[]): Promise<ReadonlyMap<string, IkeSa>> {
    const holders = await this.store.ikeSas(context.organizationId, leaseIds);
    return new Map(holders.map(({ leaseId, ikeSa }) => [leaseId, ikeSa]));
  }

  /** By address: whose own it is. */
  async staticLeases(context: TenantContext, addresses: readonly string[]): Promise<ReadonlyMap<string, StaticLease>> {
    const leases = await this.store.staticLeases(context.organizationId, addresses);
    return new Map(leases.map((lease) => [lease.address, lease]));
  }

  /** By pool's id. */
  async use(context: TenantContext, poolIds: readonly string[]): Promise<ReadonlyMap<string, PoolUse>> {
    return new Map((await this.store.use(context.organizationId, poolIds)).map((use) => [use.poolId, use]));
  }
}
