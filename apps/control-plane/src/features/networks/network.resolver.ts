import { Args, Mutation, Parent, Query, ResolveField, Resolver } from "@nestjs/graphql";
import { Allow, Request, Tenant } from "../../platform/auth/allow.js";
import { listComplexity } from "../../platform/graphql/connection.js";
import type { GraphQLRequestContext } from "../../platform/graphql/context.js";
import type { Gateway, Network } from "../../platform/prisma/generated/client.js";
import type { MemberRole } from "../../platform/prisma/generated/enums.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { GatewayService } from "../gateways/gateway.service.js";
import { GatewayType } from "../gateways/gateway.types.js";
import { NetworkService } from "./network.service.js";
import { CreateNetworkInput, NetworkType } from "./network.types.js";

@Resolver(() => NetworkType)
export class NetworkResolver {
  constructor(
    private readonly service: NetworkService,
    private readonly gateways: GatewayService,
  ) {}

  @Query(() => [NetworkType], {
    complexity: listComplexity(10),
    description: "The organization's networks, oldest first.",
  })
  @Allow("fleet:read")
  networks(@Tenant() context: TenantContext) {
    return this.service.list(context);
  }

  @Mutation(() => NetworkType, { description: "Joins gateways into a network." })
  @Allow("network:write")
  createNetwork(
    @Tenant() context: TenantContext,
    @Args("input", { description: "Which gateways, and how." }) input: CreateNetworkInput,
  ) {
    return this.service.create(context, input);
  }

  @ResolveField(() => [GatewayType], {
    complexity: listComplexity(2),
    description: "Its hubs, the preferred one first.",
  })
  hubs(@Tenant() context: TenantContext, @Request() request: GraphQLRequestContext, @Parent() network: Network) {
    return this.#members(context, request, network, "HUB");
  }

  @ResolveField(() => [GatewayType], { complexity: listComplexity(100), description: "Its spokes, oldest first." })
  spokes(@Tenant() context: TenantContext, @Request() request: GraphQLRequestContext, @Parent() network: Network) {
    return this.#members(context, request, network, "SPOKE");
  }

  async #members(context: TenantContext, { loaders }: GraphQLRequestContext, network: Network, role: MemberRole) {
    const all = await loaders.loadMany(this, "members", network.id, (ids: readonly string[]) =>
      this.service.members(context, ids),
    );
    const gateways = await Promise.all(
      all
        .filter((m) => m.role === role)
        .map((m) =>
          loaders.load(this.gateways, "byIds", m.gatewayId, (ids: readonly string[]) =>
            this.gateways.byIds(context, ids),
          ),
        ),
    );
    return gateways.filter((g): g is Gateway => g !== null);
  }
}
