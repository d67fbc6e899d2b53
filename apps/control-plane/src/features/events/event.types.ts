import { Field, ID, InputType, ObjectType, registerEnumType } from "@nestjs/graphql";
import { connectionType } from "../../platform/graphql/connection.js";
import { JsonScalar } from "../../platform/graphql/scalars.js";
import { Severity } from "../../platform/prisma/generated/enums.js";

registerEnumType(Severity, {
  name: "Severity",
  description: "How much an event matters.",
  valuesMap: {
    INFO: { description: "As it should be." },
    WARNING: { description: "Worth a look." },
    ERROR: { description: "Something does not work." },
  },
});

@ObjectType("Event", { description: "Something that happened in the fleet." })
export class EventType {
  @Field(() => ID, { description: "Identifies the event; later ones sort behind earlier ones." })
  id!: string;

  @Field({ description: "When it happened, by the clock of whoever tells of it." })
  at!: Date;

  @Field({ description: "`area/name`, e.g. `tunnel/up`." })
  kind!: string;

  @Field(() => Severity, { description: "How much it matters." })
  severity!: Severity;

  @Field({ description: "For people." })
  message!: string;

  @Field(() => JsonScalar, { description: "Named facts, e.g. `ours` and `theirs` of a refused proposal." })
  facts!: unknown;

  @Field(() => ID, { nullable: true, description: "The site it is about." })
  siteId!: string | null;

  @Field(() => ID, { nullable: true, description: "The gateway it is about." })
  gatewayId!: string | null;

  @Field(() => ID, { nullable: true, description: "The tunnel it is about." })
  tunnelId!: string | null;
}

@ObjectType("EventConnection", { description: "A page of events." })
export class EventConnection extends connectionType(EventType, "Event") {}

@InputType({ description: "Which events. What is absent excludes nothing." })
export class EventFilterInput {
  @Field(() => ID, { nullable: true, description: "Only of this site." })
  siteId?: string | null;

  @Field(() => ID, { nullable: true, description: "Only of this gateway." })
  gatewayId?: string | null;

  @Field(() => ID, { nullable: true, description: "Only of this tunnel." })
  tunnelId?: string | null;

  @Field(() => Severity, { nullable: true, description: "Only of this severity." })
  severity?: Severity | null;
}
