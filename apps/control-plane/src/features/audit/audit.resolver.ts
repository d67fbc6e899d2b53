import { Args, ID, Query, Resolver } from "@nestjs/graphql";
import { Allow, Tenant } from "../../platform/auth/allow.js";
import { PageArgs, pageComplexity } from "../../platform/graphql/connection.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { AuditService } from "./audit.service.js";
import { AuditEntryConnection, AuditEntryType } from "./audit.types.js";

@Resolver(() => AuditEntryType)
export class AuditResolver {
  constructor(private readonly audit: AuditService) {}

  @Query(() => AuditEntryConnection, {
    complexity: pageComplexity,
    description: "Changes of the organization, newest first.",
  })
  @Allow("audit:read")
  auditEntries(
    @Tenant() context: TenantContext,
    @Args() args: PageArgs,
    @Args("targetId", { type: () => ID, nullable: true, description: "Only changes of this thing." }) targetId?:
      | string
      | null,
  ) {
    return this.audit.list(context, args, targetId ?? undefined);
  }
}
