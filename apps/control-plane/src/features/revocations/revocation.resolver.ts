import { Inject } from "@nestjs/common";
import { Args, ID, Parent, Query, ResolveField, Resolver, Subscription } from "@nestjs/graphql";
import { Allow, Request, Tenant } from "../../platform/auth/allow.js";
import { type Message, WakeUpBus } from "../../platform/bus/bus.js";
import { wakeUps } from "../../platform/bus/stream.js";
import { PageArgs, pageComplexity } from "../../platform/graphql/connection.js";
import type { GraphQLRequestContext } from "../../platform/graphql/context.js";
import { subscription } from "../../platform/graphql/subscription.js";
import { checkUuid } from "../../platform/input.js";
import { LOG, type Log } from "../../platform/log/log.js";
import type { Revocation } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { shownPage } from "../certificates/certificates.resolver.js";
import { confirmationState, RevocationService } from "./revocation.service.js";
import type { Telling } from "./revocation.store.js";
import {
  RevocationConfirmationConnection,
  type RevocationConfirmationType,
  RevocationConnection,
  RevocationProgressType,
  RevocationType,
} from "./revocation.types.js";

const WHICH = { type: () => ID, description: "Which entry." };

@Resolver(() => RevocationType)
export class RevocationResolver {
  constructor(
    private readonly service: RevocationService,
    private readonly bus: WakeUpBus,
    @Inject(LOG) private readonly log: Log,
  ) {}

  @Query(() => RevocationConnection, {
    complexity: pageComplexity,
    description: "The register of whom gateways let in no more, newest first.",
  })
  @Allow("fleet:read")
  revocations(@Tenant() context: TenantContext, @Args() args: PageArgs) {
    return this.service.list(context, args);
  }

  @Query(() => RevocationType, { description: "One entry of the register of revocations." })
  @Allow("fleet:read")
  revocation(@Tenant() context: TenantContext, @Args("id", WHICH) id: string) {
    return this.service.get(context, id);
  }

  @Subscription(() => RevocationType, {
    description: "An entry of the register at once, and again whenever gateways have confirmed it.",
  })
  @Allow("fleet:read")
  revocationConfirmed(
    @Tenant() context: TenantContext,
    @Request() request: GraphQLRequestContext,
    @Args("id", WHICH) rawId: string,
  ) {
    const id = checkUuid(rawId, "id");
    const { organizationId } = context;
    const news = wakeUps(
      this.bus,
      "revocationConfirmed",
      (m) => m.organizationId === organizationId && m.revocationId === id,
    );
    return subscription(news, this.#changes(context, request, id, news), this.log);
  }

  async *#changes(
    context: TenantContext,
    request: GraphQLRequestContext,
    id: string,
    news: AsyncGenerator<Message<"revocationConfirmed"> | undefined, void, undefined>,
  ) {
    yield { revocationConfirmed: await this.service.get(context, id) };
    for await (const _ of news) {
      if (!(await request.stillValid())) return;
      request.loaders.clear();
      yield { revocationConfirmed: await this.service.get(context, id) };
    }
  }

  @ResolveField(() => RevocationConfirmationConnection, {
    complexity: pageComplexity,
    description: "The gateways that were enrolled at the time, and how far each is.",
  })
  async confirmations(
    @Tenant() context: TenantContext,
    @Request() { loaders }: GraphQLRequestContext,
    @Parent() revocation: Revocation,
    @Args() args: PageArgs,
  ) {
    const name = `tellings ${args.first} ${args.after ?? ""}`;
    const found = await loaders.load(this, name, revocation.id, (ids: readonly string[]) =>
      this.service.tellings(context, ids, args),
    );
    return found && shownPage(found, shownTelling);
  }

  @ResolveField(() => RevocationProgressType, { description: "How far those gateways are, all together." })
  async progress(
    @Tenant() context: TenantContext,
    @Request() { loaders }: GraphQLRequestContext,
    @Parent() revocation: Revocation,
  ): Promise<RevocationProgressType> {
    const found = await loaders.load(this, "progress", revocation.id, (ids: readonly string[]) =>
      this.service.progress(context, ids),
    );
    if (found === null) return { gateways: 0, confirmed: 0, away: 0, endedSas: 0, completeAt: revocation.at };
    return { ...found, completeAt: found.confirmed === found.gateways ? found.lastAt : null };
  }
}

const shownTelling = (telling: Telling): RevocationConfirmationType => ({
  ...telling,
  gatewayId: telling.id,
  state: confirmationState(telling),
});
