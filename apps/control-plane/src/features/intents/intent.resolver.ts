import { Args, Parent, Query, ResolveField, Resolver } from "@nestjs/graphql";
import { Allow, Tenant } from "../../platform/auth/allow.js";
import { PageArgs, pageComplexity } from "../../platform/graphql/connection.js";
import { JsonScalar } from "../../platform/graphql/scalars.js";
import { present } from "../../platform/present.js";
import type { IntentRevision } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { IntentRefusal, IntentRevisionConnection, IntentRevisionFilter, IntentRevisionType } from "./intent.types.js";
import { StoredIntentService } from "./stored-intent.service.js";

@Resolver(() => IntentRevisionType)
export class IntentResolver {
  constructor(private readonly intents: StoredIntentService) {}

  @Query(() => IntentRevisionConnection, {
    complexity: pageComplexity,
    description: "What gateways were told to be and what they answered, newest first.",
  })
  @Allow("fleet:read")
  intentRevisions(
    @Tenant() context: TenantContext,
    @Args() args: PageArgs,
    @Args("filter", { nullable: true, description: "Which revisions." }) filter?: IntentRevisionFilter,
  ) {
    return this.intents.list(context, args, present(filter ?? {}));
  }

  @ResolveField(() => IntentRefusal, { nullable: true, description: "Why the agent refused it; null when it did not." })
  nack(@Parent() row: IntentRevision): IntentRefusal | null {
    if (row.nackedAt === null) return null;
    const { nackCode, nackReason, nackField: field, nackValue: value, nackExpected: expected } = row;
    return { code: nackCode ?? "", reason: nackReason ?? "", field, value, expected };
  }

  @ResolveField(() => JsonScalar, { complexity: 20, description: "The intent itself, secrets masked." })
  intent(@Parent() row: IntentRevision) {
    return this.intents.masked(row);
  }
}
