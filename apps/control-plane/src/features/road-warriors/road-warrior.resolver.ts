import { Args, ID, Mutation, Parent, Query, ResolveField, Resolver } from "@nestjs/graphql";
import { Allow, Request, Tenant } from "../../platform/auth/allow.js";
import { listComplexity, PageArgs, pageComplexity } from "../../platform/graphql/connection.js";
import type { GraphQLRequestContext } from "../../platform/graphql/context.js";
import { checkUuid } from "../../platform/input.js";
import type { RoadWarrior } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { GroupService } from "./group.service.js";
import { RoadWarriorService } from "./road-warrior.service.js";
import {
  CreateRoadWarriorInput,
  RoadWarriorConnection,
  RoadWarriorGroupType,
  RoadWarriorType,
  SetRoadWarriorPasswordPayload,
  UpdateRoadWarriorInput,
} from "./road-warrior.types.js";

@Resolver(() => RoadWarriorType)
export class RoadWarriorResolver {
  constructor(
    private readonly service: RoadWarriorService,
    private readonly groupService: GroupService,
  ) {}

  @Query(() => RoadWarriorConnection, {
    complexity: pageComplexity,
    description: "The organization's road warriors, oldest first.",
  })
  @Allow("fleet:read")
  roadWarriors(
    @Tenant() context: TenantContext,
    @Args() args: PageArgs,
    @Args("groupId", { type: () => ID, nullable: true, description: "Of one group only." }) groupId?: string | null,
    @Args("enabled", { type: () => Boolean, nullable: true, description: "Those who get in, or who do not." })
    enabled?: boolean | null,
  ) {
    return this.service.list(context, args, {
      ...(groupId ? { groupId: checkUuid(groupId, "groupId") } : {}),
      ...(enabled === undefined || enabled === null ? {} : { enabled }),
    });
  }

  @Mutation(() => RoadWarriorType, { description: "Makes an account for a person. It has no password yet." })
  @Allow("road-warrior:write")
  createRoadWarrior(
    @Tenant() context: TenantContext,
    @Args("input", { description: "The person." }) input: CreateRoadWarriorInput,
  ) {
    return this.service.create(context, input);
  }

  @Mutation(() => RoadWarriorType, { description: "Changes a person's account. Who is disabled is out." })
  @Allow("road-warrior:write")
  updateRoadWarrior(
    @Tenant() context: TenantContext,
    @Args("input", { description: "What changes." }) input: UpdateRoadWarriorInput,
  ) {
    return this.service.update(context, input);
  }

  @Mutation(() => RoadWarriorType, {
    description: "Deletes a person's account, with the addresses that were the person's.",
  })
  @Allow("road-warrior:write")
  deleteRoadWarrior(
    @Tenant() context: TenantContext,
    @Args("id", { type: () => ID, description: "Which person." }) id: string,
  ) {
    return this.service.remove(context, id);
  }

  @Mutation(() => SetRoadWarriorPasswordPayload, {
    description:
      "Sets a person's password for EAP-MSCHAPv2. What the old one has opened ends. Only its hash is kept, sealed.",
  })
  @Allow("road-warrior:write")
  setRoadWarriorPassword(
    @Tenant() context: TenantContext,
    @Args("id", { type: () => ID, description: "Whose." }) id: string,
    @Args("password", {
      type: () => String,
      nullable: true,
      description: "12 to 256 characters without the user name; absent: one is made and shown once.",
    })
    password?: string | null,
  ) {
    return this.service.setPassword(context, id, password ?? undefined);
  }

  @Mutation(() => RoadWarriorType, { description: "Takes a person's password away. What it has opened ends." })
  @Allow("road-warrior:write")
  removeRoadWarriorPassword(
    @Tenant() context: TenantContext,
    @Args("id", { type: () => ID, description: "Whose." }) id: string,
  ) {
    return this.service.removePassword(context, id);
  }

  @ResolveField(() => [RoadWarriorGroupType], {
    complexity: listComplexity(4),
    description: "The person's groups, by name.",
  })
  groups(
    @Tenant() context: TenantContext,
    @Request() { loaders }: GraphQLRequestContext,
    @Parent() person: RoadWarrior,
  ) {
    return loaders.loadMany(this, "groups", person.id, (ids: readonly string[]) =>
      this.groupService.ofPeople(context, ids),
    );
  }
}
