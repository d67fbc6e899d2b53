import { Args, ID, Mutation, Parent, Query, ResolveField, Resolver } from "@nestjs/graphql";
import { Allow, Tenant } from "../../platform/auth/allow.js";
import { listComplexity } from "../../platform/graphql/connection.js";
import type { RotationSchedule } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { shownWindow, windowOf } from "../maintenance/window.js";
import { MaintenanceWindowType } from "../maintenance/window.types.js";
import { RotationScheduleService } from "./rotation-schedule.service.js";
import { CreateRotationScheduleInput, RotationScheduleType } from "./rotation-schedule.types.js";

@Resolver(() => RotationScheduleType)
export class RotationScheduleResolver {
  constructor(private readonly service: RotationScheduleService) {}

  @Query(() => [RotationScheduleType], {
    complexity: listComplexity(20),
    description: "Rotations that begin by themselves, the next one first.",
  })
  @Allow("fleet:read")
  rotationSchedules(@Tenant() context: TenantContext) {
    return this.service.list(context);
  }

  @Mutation(() => RotationScheduleType, { description: "Has rotations of a kind begin again and again." })
  @Allow("secret:write")
  createRotationSchedule(
    @Tenant() context: TenantContext,
    @Args("input", { description: "What, how often, and how." }) input: CreateRotationScheduleInput,
  ) {
    return this.service.create(context, input);
  }

  @Mutation(() => RotationScheduleType, { description: "Has them begin no more; what was begun goes on." })
  @Allow("secret:write")
  deleteRotationSchedule(
    @Tenant() context: TenantContext,
    @Args("id", { type: () => ID, description: "Which." }) id: string,
  ) {
    return this.service.delete(context, id);
  }

  @ResolveField(() => MaintenanceWindowType, {
    nullable: true,
    description: "When items may begin; null: in the windows of the sites whose tunnels they touch.",
  })
  window(@Parent() row: RotationSchedule) {
    const window = windowOf(row);
    return window ? shownWindow(window) : null;
  }
}
