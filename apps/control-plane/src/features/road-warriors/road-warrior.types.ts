import { Field, ID, InputType, Int, ObjectType } from "@nestjs/graphql";
import { connectionType } from "../../platform/graphql/connection.js";

@ObjectType("RoadWarriorGroup", { description: "People who get the same from remote access." })
export class RoadWarriorGroupType {
  @Field(() => ID, { description: "Identifies the group." })
  id!: string;

  @Field({ description: "Unique in the organization." })
  name!: string;

  @Field({ description: "When it was made." })
  createdAt!: Date;
}

@ObjectType("RoadWarriorGroupConnection", { description: "A page of groups of road warriors." })
export class RoadWarriorGroupConnection extends connectionType(RoadWarriorGroupType, "RoadWarriorGroup") {}

@ObjectType("RoadWarrior", { description: "A person who calls from anywhere." })
export class RoadWarriorType {
  @Field(() => ID, { description: "Identifies the person." })
  id!: string;

  @Field({ description: "The person's name." })
  name!: string;

  @Field({ description: "What EAP names and the person's certificate proves; unique in the organization." })
  username!: string;

  @Field({ description: "Whether the person gets in." })
  enabled!: boolean;

  @Field(() => Int, { description: "IKE SAs that the person may have at once on one gateway." })
  sessionLimit!: number;

  @Field(() => Date, {
    nullable: true,
    description: "When the password for EAP-MSCHAPv2 was set; null: there is none. Nobody can read it.",
  })
  passwordSetAt!: Date | null;

  @Field({ description: "When the account was made." })
  createdAt!: Date;
}

@ObjectType("RoadWarriorConnection", { description: "A page of road warriors." })
export class RoadWarriorConnection extends connectionType(RoadWarriorType, "RoadWarrior") {}

@InputType({ description: "A person who shall call from anywhere." })
export class CreateRoadWarriorInput {
  @Field({ description: "The person's name, 1 to 63 characters." })
  name!: string;

  @Field({ description: "A mailbox or a DNS name; it becomes lower case and stays as long as the person." })
  username!: string;

  @Field(() => [ID], { defaultValue: [], description: "The person's groups, at most 64." })
  groupIds!: string[];

  @Field(() => Int, { defaultValue: 1, description: "IKE SAs at once on one gateway, 1 to 64." })
  sessionLimit!: number;

  @Field({ defaultValue: true, description: "Whether the person gets in." })
  enabled!: boolean;
}

@InputType({ description: "Changes of a person; what is absent stays." })
export class UpdateRoadWarriorInput {
  @Field(() => ID, { description: "Which person." })
  id!: string;

  @Field(() => String, { nullable: true, description: "The person's name, 1 to 63 characters." })
  name?: string | null;

  @Field(() => [ID], { nullable: true, description: "All of the person's groups, at most 64." })
  groupIds?: string[] | null;

  @Field(() => Int, { nullable: true, description: "IKE SAs at once on one gateway, 1 to 64." })
  sessionLimit?: number | null;

  @Field(() => Boolean, { nullable: true, description: "Whether the person gets in." })
  enabled?: boolean | null;
}

@ObjectType({ description: "A password that was just set." })
export class SetRoadWarriorPasswordPayload {
  @Field(() => RoadWarriorType, { description: "Whose it is." })
  roadWarrior!: RoadWarriorType;

  @Field(() => String, {
    nullable: true,
    description: "The password, shown this once; null when the caller chose it.",
  })
  password?: string | null;
}
