import { Args, ID, Mutation, Query, Resolver } from "@nestjs/graphql";
import { Allow, Tenant } from "../../platform/auth/allow.js";
import { listComplexity } from "../../platform/graphql/connection.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { WebhookService } from "./webhook.service.js";
import { AlertWebhookType, CreateAlertWebhookInput, CreatedAlertWebhook } from "./webhook.types.js";

@Resolver(() => AlertWebhookType)
export class WebhookResolver {
  constructor(private readonly service: WebhookService) {}

  @Query(() => [AlertWebhookType], {
    complexity: listComplexity(5),
    description: "Where alerts are told, oldest first.",
  })
  @Allow("fleet:read")
  alertWebhooks(@Tenant() context: TenantContext) {
    return this.service.list(context);
  }

  @Mutation(() => CreatedAlertWebhook, { description: "Has alerts told to a webhook from now on." })
  @Allow("alert:write")
  createAlertWebhook(
    @Tenant() context: TenantContext,
    @Args("input", { description: "The webhook." }) input: CreateAlertWebhookInput,
  ) {
    return this.service.create(context, input);
  }

  @Mutation(() => AlertWebhookType, { description: "Has a webhook told nothing any more." })
  @Allow("alert:write")
  deleteAlertWebhook(
    @Tenant() context: TenantContext,
    @Args("id", { type: () => ID, description: "Which webhook." }) id: string,
  ) {
    return this.service.delete(context, id);
  }
}
