import { Inject } from "@nestjs/common";
import { Args, ID, Mutation, Parent, Query, ResolveField, Resolver, Subscription } from "@nestjs/graphql";
import { Allow, Request, Tenant } from "../../platform/auth/allow.js";
import { type Message, WakeUpBus } from "../../platform/bus/bus.js";
import { wakeUps } from "../../platform/bus/stream.js";
import { PageArgs, pageComplexity } from "../../platform/graphql/connection.js";
import type { GraphQLRequestContext } from "../../platform/graphql/context.js";
import { subscription } from "../../platform/graphql/subscription.js";
import { LOG, type Log } from "../../platform/log/log.js";
import { present } from "../../platform/present.js";
import type { Alert } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { AlertService } from "./alert.service.js";
import { AlertConnection, AlertFilterInput, AlertRuleType, AlertType } from "./alert.types.js";
import { AlertRuleService } from "./alert-rule.service.js";

const WHICH = { type: () => ID, description: "Which alert." } as const;
/** After a gap in the connection to the bus, what changed within that time is told again. */
const GAP_MS = 600_000;

@Resolver(() => AlertType)
export class AlertResolver {
  constructor(
    private readonly service: AlertService,
    private readonly rules: AlertRuleService,
    private readonly bus: WakeUpBus,
    @Inject(LOG) private readonly log: Log,
  ) {}

  @Query(() => AlertConnection, {
    complexity: pageComplexity,
    description: "The organization's alerts, newest first.",
  })
  @Allow("fleet:read")
  alerts(
    @Tenant() context: TenantContext,
    @Args() args: PageArgs,
    @Args("filter", { nullable: true, description: "Which alerts." }) filter?: AlertFilterInput,
  ) {
    return this.service.list(context, args, present(filter ?? {}));
  }

  @Mutation(() => AlertType, { description: "Takes an alert on, so that others see that somebody does." })
  @Allow("alert:write")
  acknowledgeAlert(@Tenant() context: TenantContext, @Args("id", WHICH) id: string) {
    return this.service.acknowledge(context, id);
  }

  @Mutation(() => AlertType, {
    description: "Has nobody told of an alert for a while, also when it is resolved and comes back.",
  })
  @Allow("alert:write")
  silenceAlert(
    @Tenant() context: TenantContext,
    @Args("id", WHICH) id: string,
    @Args("until", { type: () => Date, nullable: true, description: "Until when; null ends the silence." })
    until?: Date | null,
  ) {
    return this.service.silence(context, id, until ?? null);
  }

  @Subscription(() => AlertType, {
    description:
      "An alert whenever it changes. After a gap in the connection to the bus, those of the last ten minutes.",
  })
  @Allow("fleet:read")
  alertChanged(@Tenant() context: TenantContext, @Request() request: GraphQLRequestContext) {
    const { organizationId } = context;
    const news = wakeUps(this.bus, "alerts", (message) => message.organizationId === organizationId);
    return subscription(news, this.#changes(context, request, news), this.log);
  }

  async *#changes(
    context: TenantContext,
    request: GraphQLRequestContext,
    news: AsyncGenerator<Message<"alerts"> | undefined, void, undefined>,
  ) {
    for await (const message of news) {
      if (!(await request.stillValid())) return;
      const since = new Date(message?.since ?? Date.now() - GAP_MS);
      request.loaders.clear();
      for (const alert of await this.service.changedSince(context, since)) yield { alertChanged: alert };
    }
  }

  @ResolveField(() => AlertRuleType, { description: "The rule that it is of." })
  rule(@Tenant() context: TenantContext, @Request() { loaders }: GraphQLRequestContext, @Parent() alert: Alert) {
    return loaders.load(this.rules, "byIds", alert.ruleId, (ids: readonly string[]) => this.rules.byIds(context, ids));
  }
}
