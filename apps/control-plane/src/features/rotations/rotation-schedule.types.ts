import { Field, ID, InputType, Int, ObjectType } from "@nestjs/graphql";
import { RotationKind } from "../../platform/prisma/generated/enums.js";
import { MaintenanceWindowInput } from "../maintenance/window.types.js";

@ObjectType("RotationSchedule", { description: "Rotations of everything of a kind that begin by themselves." })
export class RotationScheduleType {
  @Field(() => ID, { description: "Identifies it." })
  id!: string;

  @Field(() => RotationKind, { description: "What is rotated." })
  kind!: RotationKind;

  @Field(() => Int, { description: "How many days lie between two." })
  everyDays!: number;

  @Field(() => Int, { description: "How many items are under way at once." })
  batch!: number;

  @Field(() => Int, { description: "Seconds within which a step has to be confirmed." })
  patience!: number;

  @Field({ description: "Who made it." })
  requestedBy!: string;

  @Field({ description: "When the next rotation begins." })
  nextAt!: Date;

  @Field({ description: "When it was made." })
  createdAt!: Date;
}

@InputType({ description: "What is rotated again and again, how often, and how." })
export class CreateRotationScheduleInput {
  @Field(() => RotationKind, { description: "What is rotated: everything of this kind." })
  kind!: RotationKind;

  @Field(() => Int, { description: "How many days lie between two, 1 to 3650." })
  everyDays!: number;

  @Field(() => Date, { nullable: true, description: "When the first one begins; absent: when the days have passed." })
  firstAt?: Date | null;

  @Field(() => Int, { defaultValue: 1, description: "How many items at once, 1 to 100." })
  batch!: number;

  @Field(() => Int, { defaultValue: 600, description: "Seconds within which a step has to be confirmed, up to a day." })
  patienceSeconds!: number;

  @Field(() => MaintenanceWindowInput, {
    nullable: true,
    description: "When items may begin; absent: in the windows of the sites whose tunnels they touch.",
  })
  window?: MaintenanceWindowInput | null;
}
