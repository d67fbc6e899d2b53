import { Field, ID, InputType, Int, ObjectType, registerEnumType } from "@nestjs/graphql";
import { connectionType } from "../../platform/graphql/connection.js";
import { RevisionStatus } from "../../platform/prisma/generated/enums.js";

registerEnumType(RevisionStatus, {
  name: "RevisionStatus",
  description: "What became of a revision.",
  valuesMap: {
    PENDING: { description: "Written, not yet sent." },
    PUSHED: { description: "Sent to the agent, which has not answered yet." },
    ACKED: { description: "Applied by the agent." },
    NACKED: { description: "Refused by the agent, which keeps its last good one." },
    REVERTED: { description: "Applied, then undone by the agent because it lost the control plane." },
    SUPERSEDED: { description: "A later revision was written before this one was sent." },
    HELD: { description: "Written, and waits for its stage of a rollout." },
    WITHDRAWN: { description: "Its rollout was rolled back before it was sent." },
  },
});

@ObjectType({ description: "Why an agent refused a revision." })
export class IntentRefusal {
  @Field({ description: "Coded reason, `area/name`." })
  code!: string;

  @Field({ description: "For people." })
  reason!: string;

  @Field(() => String, {
    nullable: true,
    description: "Path of the intent's field at fault, e.g. `connections[0].children[1].localSubnets[0]`.",
  })
  field!: string | null;

  @Field(() => String, { nullable: true, description: "The value that was refused." })
  value!: string | null;

  @Field(() => String, { nullable: true, description: "What would have been right." })
  expected!: string | null;
}

@ObjectType("IntentRevision", {
  description: "Everything one gateway must be, at one revision, and what its agent said to it.",
})
export class IntentRevisionType {
  @Field(() => ID, { description: "Identifies the revision over all gateways." })
  id!: string;

  @Field(() => ID, { description: "Whose intent it is." })
  gatewayId!: string;

  @Field(() => Int, { description: "Counts from 1 for each gateway." })
  number!: number;

  @Field(() => RevisionStatus, { description: "What became of it." })
  status!: RevisionStatus;

  @Field(() => Int, {
    nullable: true,
    description:
      "Number of the revision that it repeats, since a rollout was rolled back; null: it is what the model asked for.",
  })
  restores!: number | null;

  @Field({ description: "When it was compiled." })
  createdAt!: Date;

  @Field(() => Date, { nullable: true, description: "When it was sent last." })
  pushedAt!: Date | null;

  @Field(() => Date, { nullable: true, description: "When the agent had it in force." })
  ackedAt!: Date | null;

  @Field(() => Date, { nullable: true, description: "When the agent wrote it down as its last good one." })
  confirmedAt!: Date | null;

  @Field(() => Date, { nullable: true, description: "When the agent refused it." })
  nackedAt!: Date | null;

  @Field(() => Date, { nullable: true, description: "When the agent told that it went back." })
  revertedAt!: Date | null;
}

@ObjectType("IntentRevisionConnection", { description: "A page of revisions." })
export class IntentRevisionConnection extends connectionType(IntentRevisionType, "IntentRevision") {}

@InputType({ description: "Which revisions. What is absent excludes nothing." })
export class IntentRevisionFilter {
  @Field(() => ID, { nullable: true, description: "Only of this gateway." })
  gatewayId?: string | null;

  @Field(() => RevisionStatus, { nullable: true, description: "Only of this status." })
  status?: RevisionStatus | null;
}
