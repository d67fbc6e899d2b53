import { Field, ID, InputType, Int, ObjectType, registerEnumType } from "@nestjs/graphql";
import { connectionType } from "../../platform/graphql/connection.js";
import { RolloutItemState, RolloutMode, RolloutState } from "../../platform/prisma/generated/enums.js";

registerEnumType(RolloutMode, {
  name: "RolloutMode",
  description: "How changes reach gateways.",
  valuesMap: {
    IMMEDIATE: { description: "All at once, as soon as they are proved." },
    STAGED: { description: "In stages, each of which has to keep its tunnels up." },
  },
});

registerEnumType(RolloutState, {
  name: "RolloutState",
  description: "How far a rollout is.",
  valuesMap: {
    RUNNING: { description: "It goes on by itself." },
    PAUSED: { description: "It waits for `resumeRollout`; a stage that was under way is judged all the same." },
    DONE: { description: "Every gateway has what it was to get, or something newer." },
    ROLLED_BACK: { description: "It failed or was aborted: gateways were given what they had before." },
    SUPERSEDED: { description: "A newer one took over before it had pushed anything." },
  },
});

registerEnumType(RolloutItemState, {
  name: "RolloutItemState",
  description: "How far a rollout is with one gateway.",
  valuesMap: {
    PENDING: { description: "Its stage has not come." },
    PUSHED: { description: "It was sent the revision; its stage is not through." },
    DONE: { description: "Its stage is through." },
    ROLLED_BACK: { description: "It was given what it had before, or has refused the revision." },
    WITHDRAWN: { description: "It never got the revision, since the rollout was rolled back." },
    SUPERSEDED: { description: "A newer revision took its place, or the gateway was retired." },
  },
});

@ObjectType("RolloutPolicy", { description: "How changes of the model reach the organization's gateways." })
export class RolloutPolicyType {
  @Field(() => RolloutMode, { description: "At once or in stages; the rest is about stages." })
  mode!: RolloutMode;

  @Field(() => Int, { description: "How many gateways the first stage has; 0: as many as every other one." })
  canary!: number;

  @Field(() => [ID], { description: "The gateways of the first stage; none, or none that changes: `canary` of any." })
  canaryGatewayIds!: string[];

  @Field(() => Int, { description: "How many of a rollout's gateways each later stage has, in percent." })
  batchPercent!: number;

  @Field(() => Int, { description: "Seconds between two stages." })
  pauseSeconds!: number;

  @Field(() => Int, { description: "Seconds within which agents have to acknowledge." })
  ackSeconds!: number;

  @Field(() => Int, {
    description:
      "Seconds after the stage's last acknowledgement after which tunnels that were up before have to be up.",
  })
  gateSeconds!: number;
}

@InputType({ description: "How changes of the model are to reach the organization's gateways from now on." })
export class SetRolloutPolicyInput {
  @Field(() => RolloutMode, { description: "At once or in stages; the rest is about stages." })
  mode!: RolloutMode;

  @Field(() => Int, {
    defaultValue: 1,
    description: "How many gateways the first stage has, up to 100; 0: as many as every other one.",
  })
  canary!: number;

  @Field(() => [ID], {
    defaultValue: [],
    description: "The gateways of the first stage, at most 100; none, or none that changes: `canary` of any.",
  })
  canaryGatewayIds!: string[];

  @Field(() => Int, {
    defaultValue: 25,
    description: "How many of a rollout's gateways each later stage has, in percent, 1 to 100.",
  })
  batchPercent!: number;

  @Field(() => Int, { defaultValue: 60, description: "Seconds between two stages, up to a day." })
  pauseSeconds!: number;

  @Field(() => Int, { defaultValue: 60, description: "Seconds within which agents have to acknowledge, 1 to 3600." })
  ackSeconds!: number;

  @Field(() => Int, {
    defaultValue: 60,
    description:
      "Seconds after the stage's last acknowledgement after which tunnels that were up before have to be up, 1 to 3600.",
  })
  gateSeconds!: number;
}

@ObjectType({ description: "Why a rollout was rolled back." })
export class RolloutFailure {
  @Field({
    description:
      "`rollout/refused`, `rollout/reverted`, `rollout/not-acknowledged`, `rollout/tunnel-down`, `rollout/aborted` or `rollout/former-rolled-back`.",
  })
  code!: string;

  @Field({ description: "For people: which gateway or tunnel, and which error." })
  message!: string;

  @Field(() => ID, { nullable: true, description: "The gateway at fault." })
  gatewayId!: string | null;

  @Field(() => ID, { nullable: true, description: "The tunnel that did not come back." })
  tunnelId!: string | null;
}

@ObjectType({ description: "How many gateways of a rollout are how far." })
export class RolloutProgress {
  @Field(() => Int, { description: "All." })
  total!: number;

  @Field(() => Int, { description: "Those whose stage has not come." })
  pending!: number;

  @Field(() => Int, { description: "Those of the stage that is under way." })
  pushed!: number;

  @Field(() => Int, { description: "Those whose stage is through." })
  done!: number;

  @Field(() => Int, { description: "Those that were given what they had before." })
  rolledBack!: number;

  @Field(() => Int, { description: "Those that never got it, since the rollout was rolled back." })
  withdrawn!: number;

  @Field(() => Int, { description: "Those that a newer revision is for." })
  superseded!: number;
}

@ObjectType("RolloutItem", { description: "One gateway's revision in a rollout." })
export class RolloutItemType {
  @Field(() => ID, { description: "Identifies it in the rollout." })
  id!: string;

  @Field(() => ID, { description: "Of the gateway." })
  gatewayId!: string;

  @Field(() => Int, { description: "The revision that it is to get." })
  revision!: number;

  @Field(() => RolloutItemState, { description: "How far it is." })
  state!: RolloutItemState;

  @Field(() => Int, { nullable: true, description: "The stage in which it was sent, from 1." })
  stage!: number | null;

  @Field(() => String, { nullable: true, description: "What keeps it out of the next stage; null: nothing does." })
  waitingFor!: string | null;

  @Field(() => Int, { nullable: true, description: "The revision that it ran when it was sent the new one." })
  former!: number | null;

  @Field(() => Int, { nullable: true, description: "The revision that gave it back what it had before." })
  restored!: number | null;
}

@ObjectType("RolloutItemConnection", { description: "A page of a rollout's gateways." })
export class RolloutItemConnection extends connectionType(RolloutItemType, "RolloutItem") {}

@ObjectType("Rollout", { description: "A change of the model on its way to gateways, stage by stage." })
export class RolloutType {
  @Field(() => ID, { description: "Identifies the rollout." })
  id!: string;

  @Field(() => RolloutState, { description: "How far it is." })
  state!: RolloutState;

  @Field(() => Int, { description: "The stage that was pushed last, from 1; 0: none was." })
  stage!: number;

  @Field(() => Date, { nullable: true, description: "When the stage that is under way was pushed; null: none is." })
  pushedAt!: Date | null;

  @Field(() => Date, { nullable: true, description: "When all of the stage that is under way had acknowledged." })
  ackedAt!: Date | null;

  @Field(() => Date, { nullable: true, description: "When the next stage may begin, after the pause." })
  nextAt!: Date | null;

  @Field(() => Int, { description: "Seconds between two stages." })
  pauseSeconds!: number;

  @Field(() => Int, { description: "Seconds after which tunnels that were up before a stage have to be up." })
  gateSeconds!: number;

  @Field({ description: "When it began." })
  createdAt!: Date;

  @Field(() => Date, { nullable: true, description: "When it was over." })
  finishedAt!: Date | null;
}

@ObjectType("RolloutConnection", { description: "A page of rollouts." })
export class RolloutConnection extends connectionType(RolloutType, "Rollout") {}
