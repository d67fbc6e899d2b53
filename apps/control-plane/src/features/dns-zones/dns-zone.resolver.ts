import { Args, ID, Mutation, Query, Resolver } from "@nestjs/graphql";
import { Allow, Tenant } from "../../platform/auth/allow.js";
import { PageArgs, pageComplexity } from "../../platform/graphql/connection.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { DnsZoneService } from "./dns-zone.service.js";
import { CreateDnsZoneInput, DnsZoneConnection, DnsZoneType, UpdateDnsZoneInput } from "./dns-zone.types.js";

@Resolver(() => DnsZoneType)
export class DnsZoneResolver {
  constructor(private readonly zones: DnsZoneService) {}

  @Query(() => DnsZoneConnection, {
    complexity: pageComplexity,
    description: "The organization's DNS zones, oldest first.",
  })
  @Allow("fleet:read")
  dnsZones(@Tenant() context: TenantContext, @Args() args: PageArgs) {
    return this.zones.list(context, args);
  }

  @Mutation(() => DnsZoneType, {
    description: "Describes a zone in which challenges of ACME directories are answered from now on.",
  })
  @Allow("authority:write")
  createDnsZone(
    @Tenant() context: TenantContext,
    @Args("input", { description: "The zone." }) input: CreateDnsZoneInput,
  ) {
    return this.zones.create(context, input);
  }

  @Mutation(() => DnsZoneType, { description: "Changes how a zone is changed, e.g. with another key." })
  @Allow("authority:write")
  updateDnsZone(
    @Tenant() context: TenantContext,
    @Args("input", { description: "The zone and its new ways." }) input: UpdateDnsZoneInput,
  ) {
    return this.zones.update(context, input.id, input);
  }

  @Mutation(() => DnsZoneType, {
    description: "Forgets a zone, and its key, that no certificate is proved by and that no record is left in.",
  })
  @Allow("authority:write")
  deleteDnsZone(
    @Tenant() context: TenantContext,
    @Args("id", { type: () => ID, description: "Which zone." }) id: string,
  ) {
    return this.zones.remove(context, id);
  }
}
