import { Args, Query, Resolver } from "@nestjs/graphql";
import { Allow, Tenant } from "../../platform/auth/allow.js";
import { PageArgs, pageComplexity } from "../../platform/graphql/connection.js";
import { present } from "../../platform/present.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { EventService } from "./event.service.js";
import { EventConnection, EventFilterInput, EventType } from "./event.types.js";

@Resolver(() => EventType)
export class EventResolver {
  constructor(private readonly service: EventService) {}

  @Query(() => EventConnection, {
    complexity: pageComplexity,
    description: "What happened in the fleet, newest first.",
  })
  @Allow("fleet:read")
  events(
    @Tenant() context: TenantContext,
    @Args() args: PageArgs,
    @Args("filter", { nullable: true, description: "Which events." }) filter?: EventFilterInput,
  ) {
    return this.service.list(context, args, present(filter ?? {}));
  }
}
