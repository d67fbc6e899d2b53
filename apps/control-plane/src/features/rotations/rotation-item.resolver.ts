import { Parent, ResolveField, Resolver } from "@nestjs/graphql";
import { Tenant } from "../../platform/auth/allow.js";
import { listComplexity } from "../../platform/graphql/connection.js";
import type { RotationItem } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { RotationService } from "./rotation.service.js";
import { RotationItemType } from "./rotation.types.js";

@Resolver(() => RotationItemType)
export class RotationItemResolver {
  constructor(private readonly service: RotationService) {}

  @ResolveField(() => [String], {
    complexity: listComplexity(10),
    description: "Names of the tunnels that the impact of the plan's steps is about, as they are now.",
  })
  tunnels(@Tenant() context: TenantContext, @Parent() item: RotationItem) {
    return this.service.tunnels(context, item);
  }
}
