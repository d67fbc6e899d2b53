import { Args, Mutation, Parent, Query, ResolveField, Resolver } from "@nestjs/graphql";
import { Allow, Request, Tenant } from "../../platform/auth/allow.js";
import { type Connection, listComplexity, PageArgs, page, pageComplexity } from "../../platform/graphql/connection.js";
import type { GraphQLRequestContext } from "../../platform/graphql/context.js";
import type { Gateway, Network } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { GatewayService } from "../gateways/gateway.service.js";
import { GatewayConnection, GatewayType } from "../gateways/gateway.types.js";
import { NetworkService } from "./network.service.js";
import { CreateNetworkInput, NetworkConnection, NetworkType } from "./network.types.js";

@Resolver(() => NetworkType)
export class NetworkResolver {
  constructor(
    private readonly service: NetworkService,
    private readonly gateways: GatewayService,
  ) {}

  @Query(() => NetworkConnection, {
    complexity: pageComplexity,
    description: "The organization's networks, oldest first.",
  })
  @Allow("fleet:read")
  networks(@Tenant() context: TenantContext, @Args() args: PageArgs) {
    return this.service.list(context, args);
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
  async hubs(
    @Tenant() context: TenantContext,
    @Request() request: GraphQLRequestContext,
    @Parent() network: Network,
  ): Promise<Gateway[]> {
    const members = await request.loaders.loadMany(this, "hubs", network.id, (ids: readonly string[]) =>
      this.service.hubs(context, ids),
    );
    const gateways = await Promise.all(members.map((m) => this.#gateway(context, request, m.gatewayId)));
    return gateways.filter((g) => g !== null);
  }

  @ResolveField(() => GatewayConnection, { complexity: pageComplexity, description: "Its spokes, oldest first." })
  async spokes(
    @Tenant() context: TenantContext,
    @Request() request: GraphQLRequestContext,
    @Parent() network: Network,
    @Args() args: PageArgs,
  ): Promise<Connection<Gateway>> {
    const { edges, pageInfo } = await page(args, (wanted) =>
      request.loaders.loadMany(this, `spokes ${JSON.stringify(wanted)}`, network.id, (ids: readonly string[]) =>
        this.service.spokes(context, ids, wanted),
      ),
    );
    const nodes = await Promise.all(edges.map(({ node }) => this.#gateway(context, request, node.gatewayId)));
    return { edges: edges.flatMap(({ cursor }, i) => (nodes[i] ? [{ cursor, node: nodes[i] }] : [])), pageInfo };
  }

  #gateway(context: TenantContext, { loaders }: GraphQLRequestContext, id: string): Promise<Gateway | null> {
    return loaders.load(this.gateways, "byIds", id, (ids: readonly string[]) => this.gateways.byIds(context, ids));
  }
}
