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
import type { Rotation } from "../../platform/prisma/generated/client.js";
import { RotationState } from "../../platform/prisma/generated/enums.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { AuthorityRotations } from "./authorities.service.js";
import { GatewayCertificateRotations } from "./gateway-certificates.service.js";
import { MasterKeyRotations } from "./master-key.service.js";
import { PreSharedKeyRotations } from "./pre-shared-keys.service.js";
import { RotationService } from "./rotation.service.js";
import {
  RotateGatewaysInput,
  RotatePreSharedKeysInput,
  RotationConnection,
  RotationEventConnection,
  RotationInput,
  RotationItemConnection,
  RotationPlanStep,
  RotationProgress,
  RotationType,
} from "./rotation.types.js";
import { isHeldBack } from "./saga.js";
import { Sagas } from "./sagas.js";

@Resolver(() => RotationType)
export class RotationResolver {
  constructor(
    private readonly service: RotationService,
    private readonly preSharedKeys: PreSharedKeyRotations,
    private readonly gatewayCertificates: GatewayCertificateRotations,
    private readonly authorities: AuthorityRotations,
    private readonly masterKey: MasterKeyRotations,
    private readonly sagas: Sagas,
    private readonly bus: WakeUpBus,
    @Inject(LOG) private readonly log: Log,
  ) {}

  @Query(() => RotationConnection, { complexity: pageComplexity, description: "Rotations, newest first." })
  @Allow("fleet:read")
  rotations(
    @Tenant() context: TenantContext,
    @Args() args: PageArgs,
    @Args("state", { type: () => RotationState, nullable: true, description: "Only in this state." })
    state?: RotationState | null,
  ) {
    return this.service.list(context, args, state ?? undefined);
  }

  @Query(() => RotationType, { nullable: true, description: "One rotation." })
  @Allow("fleet:read")
  rotation(@Tenant() context: TenantContext, @Args("id", { type: () => ID, description: "Which." }) id: string) {
    return this.service.get(context, id);
  }

  @Mutation(() => RotationType, {
    description:
      "Replaces pre-shared keys without losing a packet: both ends accept the new key beside the old, switch, prove it, and forget the old.",
  })
  @Allow("secret:write")
  rotatePreSharedKeys(
    @Tenant() context: TenantContext,
    @Args("input", { description: "Which keys, and when." }) input: RotatePreSharedKeysInput,
  ) {
    return this.preSharedKeys.begin(context, input);
  }

  @Mutation(() => RotationType, {
    description:
      "Has gateways make new keys, certifies them, and moves their tunnels to them without losing a packet; the old certificates are revoked.",
  })
  @Allow("secret:write")
  rotateGatewayCertificates(
    @Tenant() context: TenantContext,
    @Args("input", { description: "Which gateways, and when." }) input: RotateGatewaysInput,
  ) {
    return this.gatewayCertificates.begin(context, "GATEWAY_CERTIFICATE", input);
  }

  @Mutation(() => RotationType, {
    description: "Has agents make new keys for their channel to the control plane; the old certificates are revoked.",
  })
  @Allow("secret:write")
  rotateAgentCertificates(
    @Tenant() context: TenantContext,
    @Args("input", { description: "Which gateways, and when." }) input: RotateGatewaysInput,
  ) {
    return this.gatewayCertificates.begin(context, "AGENT_CERTIFICATE", input);
  }

  @Mutation(() => RotationType, {
    description:
      "Has a new authority below the same root certify gateways, and moves them to it in batches; the old one still publishes its lists.",
  })
  @Allow("secret:write")
  rotateIssuingAuthority(
    @Tenant() context: TenantContext,
    @Args("input", { description: "How and when." }) input: RotationInput,
  ) {
    return this.authorities.begin(context, "ISSUING", input);
  }

  @Mutation(() => RotationType, {
    description:
      "Has gateways trust a new root beside the old, moves them below it in batches, and then has them forget the old one.",
  })
  @Allow("secret:write")
  rotateRootAuthority(
    @Tenant() context: TenantContext,
    @Args("input", { description: "How and when." }) input: RotationInput,
  ) {
    return this.authorities.begin(context, "ROOT", input);
  }

  @Mutation(() => RotationType, {
    description:
      "Has what the organization has sealed in the database sealed under the first master key that is configured; that happens by itself too.",
  })
  @Allow("secret:write")
  rotateMasterKey(
    @Tenant() context: TenantContext,
    @Args("input", { description: "How and when." }) input: RotationInput,
  ) {
    return this.masterKey.begin(context, input);
  }

  @Mutation(() => RotationType, { description: "Holds a rotation between two steps." })
  @Allow("secret:write")
  pauseRotation(@Tenant() context: TenantContext, @Args("id", { type: () => ID, description: "Which." }) id: string) {
    return this.service.pause(context, id);
  }

  @Mutation(() => RotationType, { description: "Has a rotation go on that was paused or has failed." })
  @Allow("secret:write")
  resumeRotation(@Tenant() context: TenantContext, @Args("id", { type: () => ID, description: "Which." }) id: string) {
    return this.service.resume(context, id);
  }

  @Mutation(() => RotationType, { description: "Undoes what is not switched yet, and finishes what is." })
  @Allow("secret:write")
  abortRotation(@Tenant() context: TenantContext, @Args("id", { type: () => ID, description: "Which." }) id: string) {
    return this.service.abort(context, id);
  }

  @Subscription(() => RotationType, {
    description:
      "A rotation at once, and again whenever it takes a step or is steered. Ends when the rotation is over.",
  })
  @Allow("fleet:read")
  rotationChanged(
    @Tenant() context: TenantContext,
    @Request() request: GraphQLRequestContext,
    @Args("id", { type: () => ID, description: "Which." }) rawId: string,
  ) {
    const id = checkUuid(rawId, "id");
    const { organizationId } = context;
    const news = wakeUps(this.bus, "rotation", (m) => m.organizationId === organizationId && m.rotationId === id);
    return subscription(news, this.#changes(context, request, id, news), this.log);
  }

  async *#changes(
    context: TenantContext,
    request: GraphQLRequestContext,
    id: string,
    news: AsyncGenerator<Message<"rotation"> | undefined, void, undefined>,
  ) {
    for (;;) {
      const rotation = await this.service.known(context, id);
      yield { rotationChanged: rotation };
      if (rotation.finishedAt || (await news.next()).done || !(await request.stillValid())) return;
      request.loaders.clear();
    }
  }

  @ResolveField(() => [RotationPlanStep], {
    complexity: listComplexity(5),
    description: "What every item goes through, in order, and what that does to its tunnels.",
  })
  plan(@Parent() { kind }: Rotation): RotationPlanStep[] {
    const saga = this.sagas.of(kind);
    return saga.steps.map(({ name, does, impact }) => {
      const reversible = name !== saga.pivot && isHeldBack(saga, name);
      return { name, does, impact, reversible };
    });
  }

  @ResolveField(() => RotationProgress, { complexity: listComplexity(2), description: "How far its items are." })
  progress(@Parent() rotation: Rotation) {
    return this.service.progress(rotation);
  }

  @ResolveField(() => RotationItemConnection, { complexity: pageComplexity, description: "Its items, in their order." })
  items(@Parent() rotation: Rotation, @Args() args: PageArgs) {
    return this.service.items(rotation, args);
  }

  @ResolveField(() => RotationEventConnection, {
    complexity: pageComplexity,
    description: "What happened, oldest first.",
  })
  history(@Parent() rotation: Rotation, @Args() args: PageArgs) {
    return this.service.history(rotation, args);
  }
}
