import { Args, ID, Mutation, Parent, Query, ResolveField, Resolver } from "@nestjs/graphql";
import { Allow, Tenant } from "../../platform/auth/allow.js";
import { PageArgs, pageComplexity } from "../../platform/graphql/connection.js";
import type { RoadWarriorGroup } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { GroupService } from "./group.service.js";
import { RoadWarriorService } from "./road-warrior.service.js";
import { RoadWarriorConnection, RoadWarriorGroupConnection, RoadWarriorGroupType } from "./road-warrior.types.js";

@Resolver(() => RoadWarriorGroupType)
export class GroupResolver {
  constructor(
    private readonly service: GroupService,
    private readonly people: RoadWarriorService,
  ) {}

  @Query(() => RoadWarriorGroupConnection, {
    complexity: pageComplexity,
    description: "The organization's groups of road warriors, oldest first.",
  })
  @Allow("fleet:read")
  roadWarriorGroups(@Tenant() context: TenantContext, @Args() args: PageArgs) {
    return this.service.list(context, args);
  }

  @Mutation(() => RoadWarriorGroupType, { description: "Makes a group of road warriors." })
  @Allow("road-warrior:write")
  createRoadWarriorGroup(
    @Tenant() context: TenantContext,
    @Args("name", { description: "Unique in the organization, 1 to 63 characters." }) name: string,
  ) {
    return this.service.create(context, name);
  }

  @Mutation(() => RoadWarriorGroupType, { description: "Gives a group another name." })
  @Allow("road-warrior:write")
  renameRoadWarriorGroup(
    @Tenant() context: TenantContext,
    @Args("id", { type: () => ID, description: "Which group." }) id: string,
    @Args("name", { description: "Unique in the organization, 1 to 63 characters." }) name: string,
  ) {
    return this.service.rename(context, id, name);
  }

  @Mutation(() => RoadWarriorGroupType, { description: "Deletes a group. Its members stay, without it." })
  @Allow("road-warrior:write")
  deleteRoadWarriorGroup(
    @Tenant() context: TenantContext,
    @Args("id", { type: () => ID, description: "Which group." }) id: string,
  ) {
    return this.service.remove(context, id);
  }

  @ResolveField(() => RoadWarriorConnection, { complexity: pageComplexity, description: "Its people, oldest first." })
  members(@Tenant() context: TenantContext, @Parent() group: RoadWarriorGroup, @Args() args: PageArgs) {
    return this.people.list(context, args, { groupId: group.id });
  }
}
