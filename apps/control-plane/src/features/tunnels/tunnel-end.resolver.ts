import { Parent, ResolveField, Resolver } from "@nestjs/graphql";
import { Request, Tenant } from "../../platform/auth/allow.js";
import { listComplexity } from "../../platform/graphql/connection.js";
import type { GraphQLRequestContext } from "../../platform/graphql/context.js";
import type { IkeSa, TunnelEnd } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { GatewayService } from "../gateways/gateway.service.js";
import { GatewayType } from "../gateways/gateway.types.js";
import { isConnected } from "../gateways/onboarding.js";
import { ChildSaType, IkeSaType } from "./sa.types.js";
import { TunnelService } from "./tunnel.service.js";
import { TunnelEndType, TunnelError } from "./tunnel.types.js";

@Resolver(() => TunnelEndType)
export class TunnelEndResolver {
  constructor(
    private readonly service: TunnelService,
    private readonly gateways: GatewayService,
  ) {}

  @ResolveField(() => GatewayType, { description: "The gateway at this end." })
  gateway(@Tenant() context: TenantContext, @Request() request: GraphQLRequestContext, @Parent() end: TunnelEnd) {
    return this.#gateway(context, request, end);
  }

  @ResolveField(() => Boolean, {
    description: "Whether this may be out of date: the gateway's agent is not connected.",
  })
  async stale(@Tenant() context: TenantContext, @Request() request: GraphQLRequestContext, @Parent() end: TunnelEnd) {
    const gateway = await this.#gateway(context, request, end);
    return gateway === null || !isConnected(gateway);
  }

  @ResolveField(() => TunnelError, {
    nullable: true,
    description: "What went wrong last; kept after the tunnel came up.",
  })
  lastError(@Parent() end: TunnelEnd): TunnelError | null {
    if (end.lastErrorCode === null) return null;
    return {
      code: end.lastErrorCode,
      message: end.lastErrorMessage ?? "",
      ours: end.lastErrorOurs,
      theirs: end.lastErrorTheirs,
      exchange: end.lastErrorExchange,
      at: end.lastErrorAt,
    };
  }

  @ResolveField(() => [IkeSaType], {
    complexity: listComplexity(1),
    description: "Its IKE SAs: one, and two during a rekey.",
  })
  ikeSas(@Tenant() context: TenantContext, @Request() { loaders }: GraphQLRequestContext, @Parent() end: TunnelEnd) {
    return loaders.loadMany(this, "ikeSas", end.id, (ids: readonly string[]) => this.service.ikeSas(context, ids));
  }

  #gateway(context: TenantContext, { loaders }: GraphQLRequestContext, end: TunnelEnd) {
    return loaders.load(this.gateways, "byIds", end.gatewayId, (ids: readonly string[]) =>
      this.gateways.byIds(context, ids),
    );
  }
}

@Resolver(() => IkeSaType)
export class IkeSaResolver {
  constructor(private readonly service: TunnelService) {}

  @ResolveField(() => [ChildSaType], { complexity: listComplexity(2), description: "Its CHILD SAs." })
  childSas(@Tenant() context: TenantContext, @Request() { loaders }: GraphQLRequestContext, @Parent() sa: IkeSa) {
    return loaders.loadMany(this, "childSas", sa.id, (ids: readonly string[]) => this.service.childSas(context, ids));
  }
}
