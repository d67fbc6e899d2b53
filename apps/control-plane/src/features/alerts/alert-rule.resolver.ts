import { Args, ID, Mutation, Query, Resolver } from "@nestjs/graphql";
import { Allow, Tenant } from "../../platform/auth/allow.js";
import { listComplexity } from "../../platform/graphql/connection.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { AlertRuleType, CreateAlertRuleInput, UpdateAlertRuleInput } from "./alert.types.js";
import { AlertRuleService } from "./alert-rule.service.js";

@Resolver(() => AlertRuleType)
export class AlertRuleResolver {
  constructor(private readonly service: AlertRuleService) {}

  @Query(() => [AlertRuleType], {
    complexity: listComplexity(20),
    description: "What operators are alerted of, the oldest rule first.",
  })
  @Allow("fleet:read")
  alertRules(@Tenant() context: TenantContext) {
    return this.service.list(context);
  }

  @Mutation(() => AlertRuleType, { description: "Makes a rule; it is looked at every 15 seconds." })
  @Allow("alert:write")
  createAlertRule(
    @Tenant() context: TenantContext,
    @Args("input", { description: "The rule." }) input: CreateAlertRuleInput,
  ) {
    return this.service.create(context, input);
  }

  @Mutation(() => AlertRuleType, { description: "Changes a rule, or silences it." })
  @Allow("alert:write")
  updateAlertRule(
    @Tenant() context: TenantContext,
    @Args("input", { description: "What changes." }) input: UpdateAlertRuleInput,
  ) {
    return this.service.update(context, input);
  }

  @Mutation(() => AlertRuleType, { description: "Deletes a rule with its alerts." })
  @Allow("alert:write")
  deleteAlertRule(
    @Tenant() context: TenantContext,
    @Args("id", { type: () => ID, description: "Which rule." }) id: string,
  ) {
    return this.service.delete(context, id);
  }
}
