import { Args, Int, Query, ResolveField, Resolver } from "@nestjs/graphql";
import { Allow, Request, Tenant } from "../../platform/auth/allow.js";
import { listComplexity } from "../../platform/graphql/connection.js";
import type { GraphQLRequestContext } from "../../platform/graphql/context.js";
import { CounterScalar } from "../../platform/graphql/scalars.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { GatewayType } from "../gateways/gateway.types.js";
import { FleetHealthService } from "./fleet-health.service.js";
import type { Traffic } from "./fleet-health.store.js";
import { DownReason, FlappingTunnel, FleetHealth, NearlyFullPool } from "./fleet-health.types.js";

const FIRST = { type: () => Int, defaultValue: 10, description: "How many at most, 1 to 50." } as const;
const firstComplexity = ({ args, childComplexity }: { args: Record<string, unknown>; childComplexity: number }) =>
  1 + Math.min(Math.max(Number(args.first ?? 10), 1), 50) * childComplexity;

/** What costs a query of its own is asked for field by field. */
@Resolver(() => FleetHealth)
export class FleetHealthResolver {
  constructor(private readonly service: FleetHealthService) {}

  @Query(() => FleetHealth, { description: "The fleet at a glance." })
  @Allow("fleet:read")
  fleetHealth(@Tenant() context: TenantContext) {
    return this.service.totals(context);
  }

  @ResolveField(() => CounterScalar, {
    description: "Octets that came in over the present CHILD SAs, counted at all our ends.",
  })
  bytesIn(@Tenant() context: TenantContext, @Request() request: GraphQLRequestContext) {
    return this.#traffic(context, request, "bytesIn");
  }

  @ResolveField(() => CounterScalar, {
    description: "Octets that went out over the present CHILD SAs, counted at all our ends.",
  })
  bytesOut(@Tenant() context: TenantContext, @Request() request: GraphQLRequestContext) {
    return this.#traffic(context, request, "bytesOut");
  }

  @ResolveField(() => CounterScalar, {
    description: "Packets that came in over the present CHILD SAs, counted at all our ends.",
  })
  packetsIn(@Tenant() context: TenantContext, @Request() request: GraphQLRequestContext) {
    return this.#traffic(context, request, "packetsIn");
  }

  @ResolveField(() => CounterScalar, {
    description: "Packets that went out over the present CHILD SAs, counted at all our ends.",
  })
  packetsOut(@Tenant() context: TenantContext, @Request() request: GraphQLRequestContext) {
    return this.#traffic(context, request, "packetsOut");
  }

  @ResolveField(() => [DownReason], {
    complexity: firstComplexity,
    description: "Why tunnels are not up: the reasons of most of them first.",
  })
  reasons(@Tenant() context: TenantContext, @Args("first", FIRST) first: number) {
    return this.service.reasons(context, first);
  }

  @ResolveField(() => [FlappingTunnel], {
    complexity: firstComplexity,
    description: "Tunnels that stopped being up in the last hour: those that did so most often first.",
  })
  flapping(@Tenant() context: TenantContext, @Args("first", FIRST) first: number) {
    return this.service.flapping(context, first);
  }

  @ResolveField(() => [GatewayType], {
    complexity: firstComplexity,
    description: "Enrolled gateways whose agent is not connected: those that are away for longest first.",
  })
  gatewaysOffline(@Tenant() context: TenantContext, @Args("first", FIRST) first: number) {
    return this.service.offline(context, first);
  }

  @ResolveField(() => Int, {
    description:
      "Certificates that are in use and end within so many days, or have ended; `certificates` with `expiresBefore` lists them.",
  })
  certificatesExpiring(
    @Tenant() context: TenantContext,
    @Args("days", { type: () => Int, defaultValue: 30, description: "1 to 4000." }) days: number,
  ) {
    return this.service.expiring(context, days);
  }

  @ResolveField(() => [NearlyFullPool], {
    complexity: listComplexity(5),
    description: "Address pools of which nine tenths or more are held, the fullest first.",
  })
  poolsNearlyFull(@Tenant() context: TenantContext) {
    return this.service.nearlyFull(context);
  }

  async #traffic(context: TenantContext, { loaders }: GraphQLRequestContext, counter: keyof Traffic) {
    const { organizationId } = context;
    const traffic = await loaders.load(this, "traffic", organizationId, async () => {
      return new Map([[organizationId, await this.service.traffic(context)]]);
    });
    return traffic?.[counter];
  }
}
