import { Args, Int, Parent, Query, ResolveField, Resolver } from "@nestjs/graphql";
import { Allow, Request, Tenant } from "../../platform/auth/allow.js";
import { PageArgs, pageComplexity } from "../../platform/graphql/connection.js";
import type { GraphQLRequestContext } from "../../platform/graphql/context.js";
import { present } from "../../platform/present.js";
import type { AddressPool, Lease, StaticLease } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { AddressPoolService } from "../address-pools/address-pool.service.js";
import { AddressPoolType, StaticLeaseType } from "../address-pools/address-pool.types.js";
import { GatewayService } from "../gateways/gateway.service.js";
import { GatewayType } from "../gateways/gateway.types.js";
import { RoadWarriorService } from "../road-warriors/road-warrior.service.js";
import { RoadWarriorType } from "../road-warriors/road-warrior.types.js";
import { IkeSaType } from "../tunnels/sa.types.js";
import { LeaseService } from "./lease.service.js";
import { LeaseConnection, LeaseFilterInput, LeaseType } from "./lease.types.js";

@Resolver(() => LeaseType)
export class LeaseResolver {
  constructor(
    private readonly service: LeaseService,
    private readonly gateways: GatewayService,
    private readonly pools: AddressPoolService,
    private readonly people: RoadWarriorService,
  ) {}

  @Query(() => LeaseConnection, {
    complexity: pageComplexity,
    description:
      "Who holds which virtual address, and who held it, newest first. Those that ended are kept for 90 days.",
  })
  @Allow("lease:read")
  leases(
    @Tenant() context: TenantContext,
    @Args() args: PageArgs,
    @Args("filter", { nullable: true, description: "Which leases." }) filter?: LeaseFilterInput,
  ) {
    return this.service.list(context, args, present(filter ?? {}));
  }

  @ResolveField(() => GatewayType, { description: "The gateway that gave the address." })
  gateway(@Tenant() context: TenantContext, @Request() { loaders }: GraphQLRequestContext, @Parent() lease: Lease) {
    return loaders.load(this.gateways, "byIds", lease.gatewayId, (ids: readonly string[]) =>
      this.gateways.byIds(context, ids),
    );
  }

  @ResolveField(() => AddressPoolType, { nullable: true, description: "The pool that gives the address, as of then." })
  pool(@Tenant() context: TenantContext, @Request() { loaders }: GraphQLRequestContext, @Parent() lease: Lease) {
    if (lease.poolId === null) return null;
    return loaders.load(this.pools, "byIds", lease.poolId, (ids: readonly string[]) => this.pools.byIds(context, ids));
  }

  @ResolveField(() => RoadWarriorType, { nullable: true, description: "The person whose identity it is." })
  roadWarrior(@Tenant() context: TenantContext, @Request() { loaders }: GraphQLRequestContext, @Parent() lease: Lease) {
    if (lease.roadWarriorId === null) return null;
    return loaders.load(this.people, "byIds", lease.roadWarriorId, (ids: readonly string[]) =>
      this.people.byIds(context, ids),
    );
  }

  @ResolveField(() => IkeSaType, {
    nullable: true,
    description: "The IKE SA by which it is held, during a rekey the newer one; null when it ended.",
  })
  ikeSa(@Tenant() context: TenantContext, @Request() { loaders }: GraphQLRequestContext, @Parent() lease: Lease) {
    return loaders.load(this, "ikeSa", lease.id, (ids: readonly string[]) => this.service.ikeSas(context, ids));
  }

  @ResolveField(() => Boolean, { description: "Whether the address is this person's own." })
  async static(
    @Tenant() context: TenantContext,
    @Request() { loaders }: GraphQLRequestContext,
    @Parent() lease: Lease,
  ) {
    const own = await loaders.load(this, "static", lease.address, (addresses: readonly string[]) =>
      this.service.staticLeases(context, addresses),
    );
    return own !== null && own.roadWarriorId === lease.roadWarriorId;
  }
}

/** Apart from the static lease's own resolver, which knows nothing of what gateways report. */
@Resolver(() => StaticLeaseType)
export class StaticLeaseHolderResolver {
  constructor(private readonly service: LeaseService) {}

  @ResolveField(() => LeaseType, { nullable: true, description: "By whom the address is held now; null: by nobody." })
  current(@Tenant() context: TenantContext, @Request() { loaders }: GraphQLRequestContext, @Parent() own: StaticLease) {
    return loaders.load(this, "current", own.address, (addresses: readonly string[]) =>
      this.service.openAt(context, addresses),
    );
  }
}

/** Apart from the pool's own resolver, which knows nothing of what gateways report. */
@Resolver(() => AddressPoolType)
export class AddressPoolUseResolver {
  constructor(
    private readonly service: LeaseService,
    private readonly pools: AddressPoolService,
  ) {}

  @ResolveField(() => Int, { description: "How many of its addresses are held now." })
  async leased(
    @Tenant() context: TenantContext,
    @Request() request: GraphQLRequestContext,
    @Parent() pool: AddressPool,
  ) {
    return (await this.#use(context, request, pool))?.leased ?? 0;
  }

  @ResolveField(() => String, {
    description: "How many of its addresses anybody may get, as decimal digits: neither held now nor a person's own.",
  })
  async free(@Tenant() context: TenantContext, @Request() request: GraphQLRequestContext, @Parent() pool: AddressPool) {
    const { leased = 0, reserved = 0 } = (await this.#use(context, request, pool)) ?? {};
    const free = BigInt(this.pools.size(pool)) - BigInt(leased + reserved);
    // What gateways hold may be of before the pool became smaller.
    return String(free > 0n ? free : 0n);
  }

  #use(context: TenantContext, { loaders }: GraphQLRequestContext, pool: AddressPool) {
    return loaders.load(this, "use", pool.id, (ids: readonly string[]) => this.service.use(context, ids));
  }
}
