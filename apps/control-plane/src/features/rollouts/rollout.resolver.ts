import { Inject } from "@nestjs/common";
import { Args, ID, Mutation, Parent, Query, ResolveField, Resolver, Subscription } from "@nestjs/graphql";
import { Allow, Request, Tenant } from "../../platform/auth/allow.js";
import { type Message, WakeUpBus } from "../../platform/bus/bus.js";
import { wakeUps } from "../../platform/bus/stream.js";
import { listComplexity, PageArgs, pageComplexity } from "../../platform/graphql/connection.js";
import type { GraphQLRequestContext } from "../../platform/graphql/context.js";
import { subscription } from "../../platform/graphql/subscription.js";
import { checkUuid } from "../../platform/input.js";
import { LOG, type Log } from "../../platform/log/log.js";
import type { Rollout, RolloutItem } from "../../platform/prisma/generated/client.js";
import { RolloutState } from "../../platform/prisma/generated/enums.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { GatewayService } from "../gateways/gateway.service.js";
import { GatewayType } from "../gateways/gateway.types.js";
import { RolloutService } from "./rollout.service.js";
import {
  RolloutConnection,
  RolloutFailure,
  RolloutItemConnection,
  RolloutItemType,
  RolloutPolicyType,
  RolloutProgress,
  RolloutType,
  SetRolloutPolicyInput,
} from "./rollout.types.js";
import { RolloutPolicyService } from "./rollout-policy.service.js";

@Resolver(() => RolloutType)
export class RolloutResolver {
  constructor(
    private readonly service: RolloutService,
    private readonly policies: RolloutPolicyService,
    private readonly bus: WakeUpBus,
    @Inject(LOG) private readonly log: Log,
  ) {}

  @Query(() => RolloutPolicyType, { description: "How changes of the model reach gateways." })
  @Allow("fleet:read")
  rolloutPolicy(@Tenant() context: TenantContext) {
    return this.policies.get(context);
  }

  @Query(() => RolloutConnection, { complexity: pageComplexity, description: "Rollouts, newest first." })
  @Allow("fleet:read")
  rollouts(
    @Tenant() context: TenantContext,
    @Args() args: PageArgs,
    @Args("state", { type: () => RolloutState, nullable: true, description: "Only in this state." })
    state?: RolloutState | null,
  ) {
    return this.service.list(context, args, state ?? undefined);
  }

  @Query(() => RolloutType, { nullable: true, description: "One rollout." })
  @Allow("fleet:read")
  rollout(@Tenant() context: TenantContext, @Args("id", { type: () => ID, description: "Which." }) id: string) {
    return this.service.get(context, id);
  }

  @Mutation(() => RolloutPolicyType, {
    description:
      "Says how changes of the model reach gateways from now on. Rollouts that are under way go on as they began.",
  })
  @Allow("rollout:write")
  setRolloutPolicy(
    @Tenant() context: TenantContext,
    @Args("input", { description: "How." }) input: SetRolloutPolicyInput,
  ) {
    return this.policies.set(context, input);
  }

  @Mutation(() => RolloutType, { description: "Holds a rollout before its next stage." })
  @Allow("rollout:write")
  pauseRollout(@Tenant() context: TenantContext, @Args("id", { type: () => ID, description: "Which." }) id: string) {
    return this.service.pause(context, id);
  }

  @Mutation(() => RolloutType, { description: "Has a rollout go on that was paused." })
  @Allow("rollout:write")
  resumeRollout(@Tenant() context: TenantContext, @Args("id", { type: () => ID, description: "Which." }) id: string) {
    return this.service.resume(context, id);
  }

  @Mutation(() => RolloutType, {
    description: "Gives gateways back what they had before the rollout. The model stays as it is.",
  })
  @Allow("rollout:write")
  abortRollout(@Tenant() context: TenantContext, @Args("id", { type: () => ID, description: "Which." }) id: string) {
    return this.service.abort(context, id);
  }

  @Mutation(() => RolloutType, {
    description:
      "After a rollout was rolled back: has all that was kept from gateways rolled out anew, as another rollout.",
  })
  @Allow("rollout:write")
  retryRollout(@Tenant() context: TenantContext, @Args("id", { type: () => ID, description: "Which." }) id: string) {
    return this.service.retry(context, id);
  }

  @Subscription(() => RolloutType, {
    description: "A rollout at once, and again whenever it takes a step or is steered. Ends when the rollout is over.",
  })
  @Allow("fleet:read")
  rolloutChanged(
    @Tenant() context: TenantContext,
    @Request() request: GraphQLRequestContext,
    @Args("id", { type: () => ID, description: "Which." }) rawId: string,
  ) {
    const id = checkUuid(rawId, "id");
    const { organizationId } = context;
    const news = wakeUps(this.bus, "rollout", (m) => m.organizationId === organizationId && m.rolloutId === id);
    return subscription(news, this.#changes(context, request, id, news), this.log);
  }

  async *#changes(
    context: TenantContext,
    request: GraphQLRequestContext,
    id: string,
    news: AsyncGenerator<Message<"rollout"> | undefined, void, undefined>,
  ) {
    for (;;) {
      const rollout = await this.service.known(context, id);
      yield { rolloutChanged: rollout };
      if (rollout.finishedAt || (await news.next()).done || !(await request.stillValid())) return;
      request.loaders.clear();
    }
  }

  @ResolveField(() => RolloutFailure, { nullable: true, description: "Why it was rolled back; null: it was not." })
  failure(@Parent() row: Rollout): RolloutFailure | null {
    const { failureCode: code, failure: message, failedGatewayId: gatewayId, failedTunnelId: tunnelId } = row;
    return code === null ? null : { code, message: message ?? "", gatewayId, tunnelId };
  }

  @ResolveField(() => RolloutProgress, { complexity: listComplexity(2), description: "How far its gateways are." })
  progress(@Parent() rollout: Rollout) {
    return this.service.progress(rollout);
  }

  @ResolveField(() => RolloutItemConnection, { complexity: pageComplexity, description: "Its gateways." })
  items(@Parent() rollout: Rollout, @Args() args: PageArgs) {
    return this.service.items(rollout, args);
  }
}

@Resolver(() => RolloutItemType)
export class RolloutItemResolver {
  constructor(private readonly gateways: GatewayService) {}

  @ResolveField(() => GatewayType, { description: "The gateway." })
  gateway(
    @Tenant() context: TenantContext,
    @Request() { loaders }: GraphQLRequestContext,
    @Parent() { gatewayId }: RolloutItem,
  ) {
    return loaders.load(this, "gateway", gatewayId, (ids: readonly string[]) => this.gateways.byIds(context, ids));
  }
}
