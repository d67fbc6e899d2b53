import { Args, ID, Mutation, Parent, Query, ResolveField, Resolver } from "@nestjs/graphql";
import { Allow, Request, Tenant } from "../../platform/auth/allow.js";
import { PageArgs, pageComplexity } from "../../platform/graphql/connection.js";
import type { GraphQLRequestContext } from "../../platform/graphql/context.js";
import type { ExternalPeer } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { GatewayService } from "../gateways/gateway.service.js";
import { GatewayType } from "../gateways/gateway.types.js";
import { ExternalPeerService } from "./external-peer.service.js";
import { AddExternalPeerInput, ExternalPeerConnection, ExternalPeerType } from "./external-peer.types.js";

@Resolver(() => ExternalPeerType)
export class ExternalPeerResolver {
  constructor(
    private readonly service: ExternalPeerService,
    private readonly gateways: GatewayService,
  ) {}

  @Query(() => ExternalPeerConnection, {
    complexity: pageComplexity,
    description: "The organization's external peers, oldest first.",
  })
  @Allow("fleet:read")
  externalPeers(@Tenant() context: TenantContext, @Args() args: PageArgs) {
    return this.service.list(context, args);
  }

  @Mutation(() => ExternalPeerType, {
    description:
      "Adds a gateway of somebody else's with a pre-shared key. What would not negotiate is refused with both sides' values.",
  })
  @Allow("peer:write")
  addExternalPeer(
    @Tenant() context: TenantContext,
    @Args("input", { description: "The peer." }) input: AddExternalPeerInput,
  ) {
    return this.service.add(context, input);
  }

  @Mutation(() => ExternalPeerType, { description: "Ends the tunnel with an external peer and forgets its key." })
  @Allow("peer:write")
  removeExternalPeer(
    @Tenant() context: TenantContext,
    @Args("id", { type: () => ID, description: "Which peer." }) id: string,
  ) {
    return this.service.remove(context, id);
  }

  @ResolveField(() => [String], { complexity: 1, description: "Prefixes behind it." })
  subnets(
    @Tenant() context: TenantContext,
    @Request() { loaders }: GraphQLRequestContext,
    @Parent() peer: ExternalPeer,
  ) {
    return loaders.loadMany(this, "subnets", peer.id, (ids: readonly string[]) => this.service.subnets(context, ids));
  }

  @ResolveField(() => GatewayType, { description: "Our gateway that keeps the tunnel." })
  gateway(
    @Tenant() context: TenantContext,
    @Request() { loaders }: GraphQLRequestContext,
    @Parent() peer: ExternalPeer,
  ) {
    return loaders.load(this.gateways, "byIds", peer.gatewayId, (ids: readonly string[]) =>
      this.gateways.byIds(context, ids),
    );
  }
}
