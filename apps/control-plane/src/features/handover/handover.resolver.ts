import type { Type } from "@nestjs/common";
import { Args, ID, Mutation, Parent, Query, ResolveField, Resolver } from "@nestjs/graphql";
import { Allow, Request, Tenant } from "../../platform/auth/allow.js";
import { type Connection, PageArgs, pageComplexity } from "../../platform/graphql/connection.js";
import type { GraphQLRequestContext } from "../../platform/graphql/context.js";
import { checkUuid } from "../../platform/input.js";
import type { Handover } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { GatewayService } from "../gateways/gateway.service.js";
import { GatewayType } from "../gateways/gateway.types.js";
import { RoadWarriorService } from "../road-warriors/road-warrior.service.js";
import { RoadWarriorType } from "../road-warriors/road-warrior.types.js";
import { HandoverService, stateOf } from "./handover.service.js";
import {
  CreateHandoverInput,
  CreateHandoverPayload,
  HandoverConnection,
  HandoverType,
  StaleProfileConnection,
  StaleProfileType,
} from "./handover.types.js";
import { StaleProfilesService } from "./stale-profiles.service.js";

/** Whose something is, and which gateway it leads to. */
function relationsOf(type: Type<{ id: string }>) {
  @Resolver(() => type, { isAbstract: true })
  class Relations {
    constructor(
      readonly people: RoadWarriorService,
      readonly gateways: GatewayService,
    ) {}

    @ResolveField(() => RoadWarriorType, { description: "Whose it is." })
    roadWarrior(
      @Tenant() context: TenantContext,
      @Request() { loaders }: GraphQLRequestContext,
      @Parent() { roadWarriorId }: Pick<Handover, "roadWarriorId">,
    ) {
      return loaders.load(this.people, "byIds", roadWarriorId, (ids: readonly string[]) =>
        this.people.byIds(context, ids),
      );
    }

    @ResolveField(() => GatewayType, { description: "The gateway that the profile leads to." })
    gateway(
      @Tenant() context: TenantContext,
      @Request() { loaders }: GraphQLRequestContext,
      @Parent() { gatewayId }: Pick<Handover, "gatewayId">,
    ) {
      return loaders.load(this.gateways, "byIds", gatewayId, (ids: readonly string[]) =>
        this.gateways.byIds(context, ids),
      );
    }
  }
  return Relations;
}

const shown = (row: Handover) => ({ ...row, state: stateOf(row) });
const shownPage = ({ edges, pageInfo }: Connection<Handover>) => ({
  edges: edges.map(({ cursor, node }) => ({ cursor, node: shown(node) })),
  pageInfo,
});

@Resolver(() => HandoverType)
export class HandoverResolver extends relationsOf(HandoverType) {
  constructor(
    private readonly service: HandoverService,
    private readonly profiles: StaleProfilesService,
    people: RoadWarriorService,
    gateways: GatewayService,
  ) {
    super(people, gateways);
  }

  @Query(() => HandoverConnection, {
    complexity: pageComplexity,
    description: "The organization's hand-overs, newest first.",
  })
  @Allow("fleet:read")
  async handovers(
    @Tenant() context: TenantContext,
    @Args() args: PageArgs,
    @Args("roadWarriorId", { type: () => ID, nullable: true, description: "Of one person only." }) id?: string | null,
  ) {
    return shownPage(
      await this.service.list(context, args, id ? { roadWarriorId: checkUuid(id, "roadWarriorId") } : {}),
    );
  }

  @Query(() => StaleProfileConnection, {
    complexity: pageComplexity,
    description:
      "Profiles on people's devices that no longer fit their gateway, oldest first. A newer profile of the same person for such a device takes an older one off the list.",
  })
  @Allow("fleet:read")
  staleProfiles(@Tenant() context: TenantContext, @Args() args: PageArgs) {
    return this.profiles.list(context, args);
  }

  @Mutation(() => CreateHandoverPayload, {
    description: "Makes a link that expires, by which a person's device gets its profile, with a key or without.",
  })
  @Allow("handover:write")
  async createHandover(
    @Tenant() context: TenantContext,
    @Args("input", { description: "What is handed over to whom." }) input: CreateHandoverInput,
  ) {
    const { handover, ...more } = await this.service.create(context, input);
    return { ...more, handover: shown(handover) };
  }

  @Mutation(() => HandoverType, {
    description:
      "Takes a link back. A key that nobody has collected is wiped, and its certificate revoked; one that was collected is not.",
  })
  @Allow("handover:write")
  async withdrawHandover(
    @Tenant() context: TenantContext,
    @Args("id", { type: () => ID, description: "Which hand-over." }) id: string,
  ) {
    return shown(await this.service.withdraw(context, id));
  }
}

@Resolver(() => StaleProfileType)
export class StaleProfileResolver extends relationsOf(StaleProfileType) {
  // Nest reads what to give it from a constructor of its own.
  constructor(people: RoadWarriorService, gateways: GatewayService) {
    super(people, gateways);
  }
}
