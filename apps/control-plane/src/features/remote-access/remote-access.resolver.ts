import { Args, ID, Mutation, Parent, Query, ResolveField, Resolver } from "@nestjs/graphql";
import { shareOf } from "@sallyport/intent";
import { Allow, Request, Tenant } from "../../platform/auth/allow.js";
import { listComplexity, PageArgs, pageComplexity } from "../../platform/graphql/connection.js";
import type { GraphQLRequestContext } from "../../platform/graphql/context.js";
import type { AddressPool, RemoteAccess, RemoteAccessRule } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { AddressPoolService } from "../address-pools/address-pool.service.js";
import { AddressPoolType } from "../address-pools/address-pool.types.js";
import { GatewayService } from "../gateways/gateway.service.js";
import { GroupService } from "../road-warriors/group.service.js";
import { RoadWarriorService } from "../road-warriors/road-warrior.service.js";
import { RemoteAccessService } from "./remote-access.service.js";
import {
  CreateRemoteAccessInput,
  RemoteAccessConnection,
  RemoteAccessGatewayType,
  RemoteAccessGroupType,
  RemoteAccessPersonType,
  RemoteAccessType,
  UpdateRemoteAccessInput,
} from "./remote-access.types.js";

@Resolver(() => RemoteAccessType)
export class RemoteAccessResolver {
  constructor(
    private readonly service: RemoteAccessService,
    private readonly gatewayService: GatewayService,
    private readonly poolService: AddressPoolService,
    private readonly groupService: GroupService,
    private readonly personService: RoadWarriorService,
  ) {}

  @Query(() => RemoteAccessConnection, {
    complexity: pageComplexity,
    description: "The organization's services of remote access, oldest first.",
  })
  @Allow("fleet:read")
  remoteAccess(@Tenant() context: TenantContext, @Args() args: PageArgs) {
    return this.service.list(context, args);
  }

  @Mutation(() => RemoteAccessType, { description: "Sets remote access up on one or more gateways." })
  @Allow("remote-access:write")
  createRemoteAccess(
    @Tenant() context: TenantContext,
    @Args("input", { description: "The service." }) input: CreateRemoteAccessInput,
  ) {
    return this.service.create(context, input);
  }

  @Mutation(() => RemoteAccessType, {
    description:
      "Changes remote access. Who may reach less than before is cut down to it at once, who gets in no more is out.",
  })
  @Allow("remote-access:write")
  updateRemoteAccess(
    @Tenant() context: TenantContext,
    @Args("input", { description: "What changes." }) input: UpdateRemoteAccessInput,
  ) {
    return this.service.update(context, input);
  }

  @Mutation(() => RemoteAccessType, { description: "Ends remote access, and with it everybody's tunnels." })
  @Allow("remote-access:write")
  deleteRemoteAccess(
    @Tenant() context: TenantContext,
    @Args("id", { type: () => ID, description: "Which service." }) id: string,
  ) {
    return this.service.remove(context, id);
  }

  @Mutation(() => RemoteAccessType, {
    description: "Has one more gateway serve it, with a share of the pools that is free.",
  })
  @Allow("remote-access:write")
  addRemoteAccessGateway(
    @Tenant() context: TenantContext,
    @Args("id", { type: () => ID, description: "Which service." }) id: string,
    @Args("gatewayId", { type: () => ID, description: "Which gateway." }) gatewayId: string,
  ) {
    return this.service.addGateway(context, id, gatewayId);
  }

  @Mutation(() => RemoteAccessType, {
    description: "Has a gateway serve it no more. The gateway's share of the pools is kept for it alone.",
  })
  @Allow("remote-access:write")
  withdrawRemoteAccessGateway(
    @Tenant() context: TenantContext,
    @Args("id", { type: () => ID, description: "Which service." }) id: string,
    @Args("gatewayId", { type: () => ID, description: "Which gateway." }) gatewayId: string,
  ) {
    return this.service.withdrawGateway(context, id, gatewayId);
  }

  @ResolveField(() => [AddressPoolType], {
    complexity: listComplexity(2),
    description: "Its pools, the preferred one first.",
  })
  async pools(
    @Tenant() context: TenantContext,
    @Request() request: GraphQLRequestContext,
    @Parent() own: RemoteAccess,
  ) {
    const rows = await request.loaders.loadMany(this, "pools", own.id, (ids: readonly string[]) =>
      this.service.pools(context, ids),
    );
    const pools = await Promise.all(
      rows.map(({ poolId }) =>
        request.loaders.load(this.poolService, "byIds", poolId, (ids: readonly string[]) =>
          this.poolService.byIds(context, ids),
        ),
      ),
    );
    return pools.filter((p) => p !== null);
  }

  @ResolveField(() => [RemoteAccessGatewayType], {
    complexity: listComplexity(2),
    description: "Its gateways with their shares of the pools.",
  })
  async gateways(
    @Tenant() context: TenantContext,
    @Request() request: GraphQLRequestContext,
    @Parent() own: RemoteAccess,
  ) {
    const rows = await request.loaders.loadMany(this, "gateways", own.id, (ids: readonly string[]) =>
      this.service.gateways(context, ids),
    );
    const pools: AddressPool[] = await this.pools(context, request, own);
    const found = await Promise.all(
      rows.map(async ({ gatewayId, share }) => {
        const gateway = await request.loaders.load(this.gatewayService, "byIds", gatewayId, (ids: readonly string[]) =>
          this.gatewayService.byIds(context, ids),
        );
        const addresses = pools.flatMap((pool) => shareOf(pool.addresses, own.shares, share));
        return gateway ? [{ gateway, share, addresses }] : [];
      }),
    );
    return found.flat();
  }

  @ResolveField(() => [RemoteAccessGroupType], {
    complexity: listComplexity(4),
    description: "Who gets in, in the order in which groups count; empty: everybody.",
  })
  async groups(
    @Tenant() context: TenantContext,
    @Request() request: GraphQLRequestContext,
    @Parent() own: RemoteAccess,
  ) {
    const rules = await this.#rules(context, request, own);
    const found = await Promise.all(
      rules.map(async (rule) => {
        if (rule.groupId === null) return [];
        const group = await request.loaders.load(this.groupService, "byIds", rule.groupId, (ids: readonly string[]) =>
          this.groupService.byIds(context, ids),
        );
        return group ? [{ group, ...told(rule) }] : [];
      }),
    );
    return found.flat();
  }

  @ResolveField(() => [RemoteAccessPersonType], {
    complexity: listComplexity(4),
    description: "What is different for single persons.",
  })
  async people(
    @Tenant() context: TenantContext,
    @Request() request: GraphQLRequestContext,
    @Parent() own: RemoteAccess,
  ) {
    const rules = await this.#rules(context, request, own);
    const found = await Promise.all(
      rules.map(async (rule) => {
        const { roadWarriorId } = rule;
        if (roadWarriorId === null) return [];
        const roadWarrior = await request.loaders.load(
          this.personService,
          "byIds",
          roadWarriorId,
          (ids: readonly string[]) => this.personService.byIds(context, ids),
        );
        return roadWarrior ? [{ roadWarrior, ...told(rule) }] : [];
      }),
    );
    return found.flat();
  }

  #rules(context: TenantContext, { loaders }: GraphQLRequestContext, own: RemoteAccess): Promise<RemoteAccessRule[]> {
    return loaders.loadMany(this, "rules", own.id, (ids: readonly string[]) => this.service.rules(context, ids));
  }
}

function told(rule: RemoteAccessRule) {
  return {
    networks: rule.ownNetworks ? rule.networks : null,
    dns: rule.ownDns ? rule.dns : null,
    splitDns: rule.ownSplitDns ? rule.splitDns : null,
    poolIds: rule.ownPools ? rule.poolIds : null,
  };
}
