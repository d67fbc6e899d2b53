import { Args, Mutation, Parent, Query, ResolveField, Resolver } from "@nestjs/graphql";
import { Allow, Request, Tenant } from "../../platform/auth/allow.js";
import { listComplexity, PageArgs, pageComplexity } from "../../platform/graphql/connection.js";
import type { GraphQLRequestContext } from "../../platform/graphql/context.js";
import type { Gateway, Site } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { GatewayService } from "../gateways/gateway.service.js";
import { GatewayType } from "../gateways/gateway.types.js";
import { shownHours } from "../maintenance/window.js";
import { SiteWindowType } from "../maintenance/window.types.js";
import { SiteService } from "./site.service.js";
import {
  CreateSiteInput,
  CreateSitePayload,
  OnboardSiteInput,
  OnboardSitePayload,
  SetMaintenanceWindowsInput,
  SiteConnection,
  SiteType,
} from "./site.types.js";

@Resolver(() => SiteType)
export class SiteResolver {
  constructor(
    private readonly service: SiteService,
    private readonly gatewayService: GatewayService,
  ) {}

  @Query(() => SiteConnection, { complexity: pageComplexity, description: "The organization's sites, oldest first." })
  @Allow("fleet:read")
  sites(@Tenant() context: TenantContext, @Args() args: PageArgs) {
    return this.service.list(context, args);
  }

  @Mutation(() => CreateSitePayload, { description: "Describes a site and its gateway: headquarters, for one." })
  @Allow("site:write")
  createSite(@Tenant() context: TenantContext, @Args("input", { description: "The site." }) input: CreateSiteInput) {
    return this.service.create(context, input);
  }

  @Mutation(() => OnboardSitePayload, {
    description: "Describes a branch office, joins it to a network and gives the command to run on its gateway.",
  })
  @Allow("site:write")
  onboardSite(
    @Tenant() context: TenantContext,
    @Args("input", { description: "The branch." }) input: OnboardSiteInput,
  ) {
    return this.service.onboard(context, input);
  }

  @Mutation(() => SiteType, {
    description:
      "Says when work at a site may begin: changes that are rolled out in stages, rotations and renewals that have no window of their own.",
  })
  @Allow("site:write")
  setMaintenanceWindows(
    @Tenant() context: TenantContext,
    @Args("input", { description: "The site and its hours." }) input: SetMaintenanceWindowsInput,
  ) {
    return this.service.setWindows(context, input);
  }

  @ResolveField(() => [SiteWindowType], { complexity: 1, description: "When work may begin; none: at any time." })
  async maintenanceWindows(
    @Tenant() context: TenantContext,
    @Request() { loaders }: GraphQLRequestContext,
    @Parent() site: Site,
  ) {
    const windows = await loaders.loadMany(this, "windows", site.id, (ids: readonly string[]) =>
      this.service.windows(context, ids),
    );
    return windows.map(shownHours);
  }

  @ResolveField(() => [String], { complexity: 1, description: "Prefixes behind its gateway." })
  subnets(@Tenant() context: TenantContext, @Request() { loaders }: GraphQLRequestContext, @Parent() site: Site) {
    return loaders.loadMany(this, "subnets", site.id, (ids: readonly string[]) => this.service.subnets(context, ids));
  }

  @ResolveField(() => [GatewayType], { complexity: listComplexity(1), description: "Its gateways." })
  gateways(@Tenant() context: TenantContext, @Request() { loaders }: GraphQLRequestContext, @Parent() site: Site) {
    return loaders.loadMany(this, "gateways", site.id, (ids: readonly string[]) =>
      this.gatewayService.ofSites(context, ids),
    );
  }
}

/** Apart from the gateway's own resolver, which knows no sites. */
@Resolver(() => GatewayType)
export class GatewaySiteResolver {
  constructor(private readonly service: SiteService) {}

  @ResolveField(() => SiteType, { description: "The site whose tunnels it keeps." })
  site(@Tenant() context: TenantContext, @Request() { loaders }: GraphQLRequestContext, @Parent() gateway: Gateway) {
    return loaders.load(this, "site", gateway.siteId, (ids: readonly string[]) => this.service.byIds(context, ids));
  }
}
