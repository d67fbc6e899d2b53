import { Args, ID, Int, Mutation, Parent, Query, ResolveField, Resolver } from "@nestjs/graphql";
import { Allow, Request, Tenant } from "../../platform/auth/allow.js";
import { listComplexity, PageArgs, pageComplexity } from "../../platform/graphql/connection.js";
import type { GraphQLRequestContext } from "../../platform/graphql/context.js";
import type { AddressPool, RoadWarrior, StaticLease } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { RoadWarriorService } from "../road-warriors/road-warrior.service.js";
import { RoadWarriorType } from "../road-warriors/road-warrior.types.js";
import { AddressPoolService } from "./address-pool.service.js";
import {
  AddressPoolConnection,
  AddressPoolType,
  AssignAddressInput,
  CreateAddressPoolInput,
  StaticLeaseConnection,
  StaticLeaseType,
  UpdateAddressPoolInput,
} from "./address-pool.types.js";
import { StaticLeaseService } from "./static-lease.service.js";

@Resolver(() => AddressPoolType)
export class AddressPoolResolver {
  constructor(
    private readonly service: AddressPoolService,
    private readonly leases: StaticLeaseService,
  ) {}

  @Query(() => AddressPoolConnection, {
    complexity: pageComplexity,
    description: "The organization's address pools, oldest first.",
  })
  @Allow("fleet:read")
  addressPools(@Tenant() context: TenantContext, @Args() args: PageArgs) {
    return this.service.list(context, args);
  }

  @Mutation(() => AddressPoolType, {
    description: "Makes an address pool. Addresses of a site, an external peer or another pool are refused.",
  })
  @Allow("pool:write")
  createAddressPool(
    @Tenant() context: TenantContext,
    @Args("input", { description: "The pool." }) input: CreateAddressPoolInput,
  ) {
    return this.service.create(context, input);
  }

  @Mutation(() => AddressPoolType, {
    description: "Changes an address pool. Who has an address keeps it while connected.",
  })
  @Allow("pool:write")
  updateAddressPool(
    @Tenant() context: TenantContext,
    @Args("input", { description: "What changes." }) input: UpdateAddressPoolInput,
  ) {
    return this.service.update(context, input);
  }

  @Mutation(() => AddressPoolType, { description: "Deletes an address pool that nothing uses." })
  @Allow("pool:write")
  deleteAddressPool(
    @Tenant() context: TenantContext,
    @Args("id", { type: () => ID, description: "Which pool." }) id: string,
  ) {
    return this.service.remove(context, id);
  }

  @Mutation(() => StaticLeaseType, { description: "Gives a person an address of a pool that nobody else gets." })
  @Allow("pool:write")
  assignAddress(
    @Tenant() context: TenantContext,
    @Args("input", { description: "Which address, and whose." }) input: AssignAddressInput,
  ) {
    return this.leases.assign(context, input);
  }

  @Mutation(() => StaticLeaseType, { description: "Takes a person's own address back." })
  @Allow("pool:write")
  releaseAddress(
    @Tenant() context: TenantContext,
    @Args("id", { type: () => ID, description: "Which static lease." }) id: string,
  ) {
    return this.leases.release(context, id);
  }

  @ResolveField(() => Int, { description: "4 or 6." })
  family(@Parent() pool: AddressPool) {
    return this.service.family(pool);
  }

  @ResolveField(() => String, { description: "How many addresses it gives, as decimal digits." })
  size(@Parent() pool: AddressPool) {
    return this.service.size(pool);
  }

  @ResolveField(() => StaticLeaseConnection, {
    complexity: pageComplexity,
    description: "Its addresses that are one person's, oldest first.",
  })
  staticLeases(@Tenant() context: TenantContext, @Parent() pool: AddressPool, @Args() args: PageArgs) {
    return this.leases.ofPool(context, pool.id, args);
  }
}

@Resolver(() => StaticLeaseType)
export class StaticLeaseResolver {
  constructor(
    private readonly pools: AddressPoolService,
    private readonly people: RoadWarriorService,
  ) {}

  @ResolveField(() => AddressPoolType, { description: "The pool that gives it." })
  pool(@Tenant() context: TenantContext, @Request() { loaders }: GraphQLRequestContext, @Parent() lease: StaticLease) {
    return loaders.load(this.pools, "byIds", lease.poolId, (ids: readonly string[]) => this.pools.byIds(context, ids));
  }

  @ResolveField(() => RoadWarriorType, { description: "Whose it is." })
  roadWarrior(
    @Tenant() context: TenantContext,
    @Request() { loaders }: GraphQLRequestContext,
    @Parent() lease: StaticLease,
  ) {
    return loaders.load(this.people, "byIds", lease.roadWarriorId, (ids: readonly string[]) =>
      this.people.byIds(context, ids),
    );
  }
}

/** Apart from the person's own resolver, which knows no pools. */
@Resolver(() => RoadWarriorType)
export class RoadWarriorLeaseResolver {
  constructor(private readonly leases: StaticLeaseService) {}

  @ResolveField(() => [StaticLeaseType], {
    complexity: listComplexity(2),
    description: "Addresses that are this person's, at most one of each family.",
  })
  staticLeases(
    @Tenant() context: TenantContext,
    @Request() { loaders }: GraphQLRequestContext,
    @Parent() person: RoadWarrior,
  ) {
    return loaders.loadMany(this, "staticLeases", person.id, (ids: readonly string[]) =>
      this.leases.ofPeople(context, ids),
    );
  }
}
