import { Field, ID, InputType, Int, ObjectType, registerEnumType } from "@nestjs/graphql";
import { connectionType } from "../../platform/graphql/connection.js";
import { RotationItemState, RotationKind, RotationState } from "../../platform/prisma/generated/enums.js";
import { MaintenanceWindowInput } from "../maintenance/window.types.js";
import type { StepImpact } from "./saga.js";

registerEnumType(RotationKind, {
  name: "RotationKind",
  description: "What is rotated.",
  valuesMap: {
    PRE_SHARED_KEY: { description: "Pre-shared keys of tunnels between our gateways." },
    GATEWAY_CERTIFICATE: { description: "Keys and certificates that gateways show their IKE peers." },
    AGENT_CERTIFICATE: { description: "Keys and certificates that gateways' agents show the control plane." },
    MASTER_KEY: { description: "The master key that what is secret is sealed under in the database." },
    ISSUING_AUTHORITY: { description: "The authority that certifies gateways, below the same root." },
    ROOT_AUTHORITY: { description: "The root that gateways trust, and the issuing authority below it." },
  },
});

registerEnumType(RotationState, {
  name: "RotationState",
  description: "How far a rotation is.",
  valuesMap: {
    RUNNING: { description: "It goes on by itself, perhaps not before its start or its window." },
    PAUSED: { description: "It waits for `resumeRotation`; both the old and the new stay accepted." },
    ABORTING: { description: "What is not switched yet is undone, what is switched is finished." },
    DONE: { description: "Everything is rotated." },
    ABORTED: { description: "It was aborted: what it says was done is rotated, the rest is as it was." },
    FAILED: { description: "It stopped at the first failure; both the old and the new stay accepted." },
  },
});

registerEnumType(RotationItemState, {
  name: "RotationItemState",
  description: "How far a rotation is with one thing.",
  valuesMap: {
    PENDING: { description: "Its turn has not come." },
    RUNNING: { description: "It is at one of the steps." },
    DONE: { description: "It is rotated, and the old is gone." },
    ROLLED_BACK: { description: "The new was taken back before the switch." },
    SKIPPED: { description: "Nothing was done: it was aborted before its turn, or is there no more." },
  },
});

/** As `StepImpact` has it. */
export const RotationImpact = {
  UNTOUCHED: "UNTOUCHED",
  REKEYED: "REKEYED",
  RE_ESTABLISHED: "RE_ESTABLISHED",
  DROPPED: "DROPPED",
} as const satisfies Readonly<Record<StepImpact, StepImpact>>;
registerEnumType(RotationImpact, {
  name: "RotationImpact",
  description: "What a step does to the traffic of a tunnel.",
  valuesMap: {
    UNTOUCHED: { description: "Nothing." },
    REKEYED: { description: "New SAs are made beside the old: no packet is lost." },
    RE_ESTABLISHED: { description: "The tunnel is negotiated anew after the old SAs are gone." },
    DROPPED: { description: "The tunnel goes." },
  },
});

@ObjectType({ description: "How many items of a rotation are how far." })
export class RotationProgress {
  @Field(() => Int, { description: "All." })
  total!: number;

  @Field(() => Int, { description: "Those whose turn has not come." })
  pending!: number;

  @Field(() => Int, { description: "Those under way." })
  running!: number;

  @Field(() => Int, { description: "Those that are rotated." })
  done!: number;

  @Field(() => Int, { description: "Those whose new was taken back." })
  rolledBack!: number;

  @Field(() => Int, { description: "Those that were left as they were." })
  skipped!: number;
}

@ObjectType({ description: "A step that every item of a rotation goes through." })
export class RotationPlanStep {
  @Field({ description: "Its name." })
  name!: string;

  @Field({ description: "What is done, for people." })
  does!: string;

  @Field(() => RotationImpact, { description: "What it does to the traffic of each item's tunnels." })
  impact!: StepImpact;

  @Field({
    description:
      "Whether it can be undone: an abort takes it back. From the first one on that cannot, an abort finishes.",
  })
  reversible!: boolean;
}

@ObjectType("RotationItem", { description: "One thing of a rotation." })
export class RotationItemType {
  @Field(() => ID, { description: "Identifies it in the rotation." })
  id!: string;

  @Field(() => ID, { description: "Of the tunnel or gateway that is rotated." })
  subjectId!: string;

  @Field({ description: "Name of that." })
  name!: string;

  @Field(() => RotationItemState, { description: "How far it is." })
  state!: RotationItemState;

  @Field({ description: "The step that it is at, was last, or begins with." })
  step!: string;

  @Field(() => String, { nullable: true, description: "What the step's confirmation waits for." })
  waitingFor!: string | null;

  @Field(() => Date, { nullable: true, description: "When its turn came." })
  startedAt!: Date | null;

  @Field(() => Date, { nullable: true, description: "When it was through." })
  finishedAt!: Date | null;
}

@ObjectType("RotationItemConnection", { description: "A page of a rotation's items." })
export class RotationItemConnection extends connectionType(RotationItemType, "RotationItem") {}

@ObjectType("RotationEvent", { description: "Something that happened in a rotation." })
export class RotationEventType {
  @Field(() => ID, { description: "Identifies it." })
  id!: string;

  @Field(() => ID, { nullable: true, description: "The item that it is about; null: the rotation as a whole." })
  itemId!: string | null;

  @Field(() => String, { nullable: true, description: "At which step." })
  step!: string | null;

  @Field({ description: "E.g. `requested`, `begun`, `performed`, `confirmed`, `paused`, `failed`, `undoing`." })
  what!: string;

  @Field(() => String, { nullable: true, description: "By whom, or why." })
  note!: string | null;

  @Field({ description: "When." })
  at!: Date;
}

@ObjectType("RotationEventConnection", { description: "A page of a rotation's history." })
export class RotationEventConnection extends connectionType(RotationEventType, "RotationEvent") {}

@ObjectType("Rotation", { description: "The replacement of keys or certificates, make before break at both ends." })
export class RotationType {
  @Field(() => ID, { description: "Identifies the rotation." })
  id!: string;

  @Field(() => RotationKind, { description: "What is rotated." })
  kind!: RotationKind;

  @Field(() => RotationState, { description: "How far it is." })
  state!: RotationState;

  @Field(() => Int, { description: "How many items are under way at once." })
  batch!: number;

  @Field(() => Int, { description: "Seconds within which a step has to be confirmed." })
  patience!: number;

  @Field(() => Date, { nullable: true, description: "When it begins; null: at once." })
  startAt!: Date | null;

  @Field({ description: "Who asked for it." })
  requestedBy!: string;

  @Field(() => String, { nullable: true, description: "Why it stopped." })
  failure!: string | null;

  @Field({ description: "When it was asked for." })
  createdAt!: Date;

  @Field(() => Date, { nullable: true, description: "When its first item began." })
  startedAt!: Date | null;

  @Field(() => Date, { nullable: true, description: "When it was over." })
  finishedAt!: Date | null;
}

@ObjectType("RotationConnection", { description: "A page of rotations." })
export class RotationConnection extends connectionType(RotationType, "Rotation") {}

@InputType({ description: "How and when a rotation goes." })
export class RotationInput {
  @Field(() => Int, { defaultValue: 1, description: "How many at once, 1 to 100." })
  batch!: number;

  @Field(() => Int, { defaultValue: 600, description: "Seconds within which a step has to be confirmed, up to a day." })
  patienceSeconds!: number;

  @Field({ defaultValue: false, description: "Begin with a pause, so that the plan can be looked at." })
  hold!: boolean;

  @Field(() => Date, { nullable: true, description: "Not before; absent: at once." })
  startAt?: Date | null;

  @Field(() => MaintenanceWindowInput, {
    nullable: true,
    description: "When items may begin; absent: in the windows of the sites whose tunnels they touch.",
  })
  window?: MaintenanceWindowInput | null;
}

@InputType({ description: "Which pre-shared keys are rotated, and when." })
export class RotatePreSharedKeysInput extends RotationInput {
  @Field(() => [ID], {
    nullable: true,
    description: "Which tunnels; absent: every one between enrolled gateways in networks with pre-shared keys.",
  })
  tunnelIds?: string[] | null;
}

@InputType({ description: "Which gateways' keys and certificates are rotated, and when." })
export class RotateGatewaysInput extends RotationInput {
  @Field(() => [ID], { nullable: true, description: "Which gateways; absent: every one that is enrolled." })
  gatewayIds?: string[] | null;
}
