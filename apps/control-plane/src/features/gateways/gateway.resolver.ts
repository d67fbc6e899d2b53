import { Inject } from "@nestjs/common";
import { Args, ID, Mutation, Parent, Query, ResolveField, Resolver, Subscription } from "@nestjs/graphql";
import { Allow, Request, Tenant } from "../../platform/auth/allow.js";
import { WakeUpBus } from "../../platform/bus/bus.js";
import { wakeUps } from "../../platform/bus/stream.js";
import { Database } from "../../platform/database/database.js";
import { PageArgs, pageComplexity } from "../../platform/graphql/connection.js";
import type { GraphQLRequestContext } from "../../platform/graphql/context.js";
import { subscription } from "../../platform/graphql/subscription.js";
import { LOG, type Log } from "../../platform/log/log.js";
import { present } from "../../platform/present.js";
import type { Gateway } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { IntentRevisionType } from "../intents/intent.types.js";
import { StoredIntentService } from "../intents/stored-intent.service.js";
import { GatewayService } from "./gateway.service.js";
import {
  GatewayConnection,
  GatewayFilterInput,
  GatewayType,
  OnboardingProgress,
  UpdateGatewayInput,
} from "./gateway.types.js";
import { isConnected, onboardingSteps } from "./onboarding.js";

const progressOf = (gateway: Gateway): OnboardingProgress => {
  const steps = onboardingSteps(gateway);
  return { gateway, steps, complete: steps.every((step) => step.done) };
};

@Resolver(() => GatewayType)
export class GatewayResolver {
  constructor(
    private readonly service: GatewayService,
    private readonly intents: StoredIntentService,
    private readonly database: Database,
    private readonly bus: WakeUpBus,
    @Inject(LOG) private readonly log: Log,
  ) {}

  @Query(() => GatewayConnection, {
    complexity: pageComplexity,
    description: "The organization's gateways, oldest first.",
  })
  @Allow("fleet:read")
  gateways(
    @Tenant() context: TenantContext,
    @Args() args: PageArgs,
    @Args("filter", { nullable: true, description: "Which gateways." }) filter?: GatewayFilterInput,
  ) {
    return this.service.list(context, args, present(filter ?? {}));
  }

  @Query(() => GatewayType, { description: "One gateway." })
  @Allow("fleet:read")
  gateway(@Tenant() context: TenantContext, @Args("id", { type: () => ID, description: "Which." }) id: string) {
    return this.service.getIn(this.database.client, context.organizationId, id, "id");
  }

  @Query(() => OnboardingProgress, { description: "How far a gateway's onboarding is." })
  @Allow("fleet:read")
  async onboarding(
    @Tenant() context: TenantContext,
    @Args("gatewayId", { type: () => ID, description: "Which gateway's." }) gatewayId: string,
  ) {
    return progressOf(await this.service.getIn(this.database.client, context.organizationId, gatewayId, "gatewayId"));
  }

  @Mutation(() => GatewayType, {
    description: "Changes what is known of a gateway; whoever has tunnels with it is told.",
  })
  @Allow("gateway:write")
  updateGateway(
    @Tenant() context: TenantContext,
    @Args("input", { description: "What changes." }) input: UpdateGatewayInput,
  ) {
    return this.service.update(context, input);
  }

  @Mutation(() => GatewayType, {
    description:
      "Takes a gateway out of the fleet for good: whoever has tunnels with it drops them, its certificates are revoked, its agent is cut off.",
  })
  @Allow("gateway:write")
  retireGateway(@Tenant() context: TenantContext, @Args("id", { type: () => ID, description: "Which." }) id: string) {
    return this.service.retire(context, id);
  }

  @Subscription(() => OnboardingProgress, {
    description: "A gateway's onboarding: how it stands now, then again with every step. Ends when it is complete.",
  })
  @Allow("fleet:read")
  onboardingProgress(
    @Tenant() context: TenantContext,
    @Request() request: GraphQLRequestContext,
    @Args("gatewayId", { type: () => ID, description: "Which gateway's." }) gatewayId: string,
  ) {
    const { organizationId } = context;
    const news = wakeUps(
      this.bus,
      "onboarding",
      (m) => m.organizationId === organizationId && m.gatewayId === gatewayId,
    );
    return subscription(news, this.#progress(context, request, gatewayId, news), this.log);
  }

  async *#progress(
    { organizationId }: TenantContext,
    request: GraphQLRequestContext,
    gatewayId: string,
    news: AsyncGenerator<unknown, void, undefined>,
  ) {
    for (let told = ""; ; ) {
      request.loaders.clear();
      const gateway = await this.service.getIn(this.database.client, organizationId, gatewayId, "gatewayId");
      const progress = progressOf(gateway);
      const steps = JSON.stringify(progress.steps);
      if (steps !== told) yield { onboardingProgress: progress };
      told = steps;
      if (progress.complete || (await news.next()).done || !(await request.stillValid())) return;
    }
  }

  @ResolveField(() => Boolean, { description: "Whether its agent's stream is open." })
  connected(@Parent() gateway: Gateway): boolean {
    return isConnected(gateway);
  }

  @ResolveField(() => IntentRevisionType, {
    nullable: true,
    description: "Its newest revision, whatever became of it.",
  })
  latestRevision(
    @Tenant() context: TenantContext,
    @Request() { loaders }: GraphQLRequestContext,
    @Parent() gateway: Gateway,
  ) {
    return loaders.load(this, "latestRevision", gateway.id, (ids: readonly string[]) =>
      this.intents.newestOfEach(context, ids),
    );
  }
}
