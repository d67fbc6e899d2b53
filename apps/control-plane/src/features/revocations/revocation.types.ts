import { Field, ID, Int, ObjectType, registerEnumType } from "@nestjs/graphql";
import { connectionType } from "../../platform/graphql/connection.js";
import { RevocationSubject } from "../../platform/prisma/generated/enums.js";
import type { ConfirmationState } from "./revocation.service.js";

registerEnumType(RevocationSubject, {
  name: "RevocationSubject",
  description: "What is refused.",
  valuesMap: {
    CERTIFICATE: { description: "A certificate, wherever it stands in a peer's chain." },
    PERSON: { description: "A road warrior, whatever the person proves." },
  },
});

export const ConfirmationStateName = {
  PENDING: "PENDING",
  CONFIRMED: "CONFIRMED",
  AWAY: "AWAY",
} as const satisfies Record<ConfirmationState, ConfirmationState>;

registerEnumType(ConfirmationStateName, {
  name: "RevocationConfirmationState",
  description: "How far a gateway is with a revocation.",
  valuesMap: {
    PENDING: { description: "The gateway is connected and has not answered yet." },
    CONFIRMED: { description: "What rested on it has ended there, and nothing new rests on it." },
    AWAY: { description: "The gateway is not connected; it applies it before it answers anyone." },
  },
});

@ObjectType("RevocationConfirmation", { description: "A revocation at one gateway." })
export class RevocationConfirmationType {
  gatewayId!: string;

  @Field(() => ConfirmationStateName, { description: "How far the gateway is." })
  state!: ConfirmationState;

  @Field(() => Date, { nullable: true, description: "When the control plane heard it, by its own clock." })
  confirmedAt!: Date | null;

  @Field(() => Int, {
    nullable: true,
    description: "IKE SAs that it ended there; null: not confirmed, or the agent was started anew before it said so.",
  })
  endedSas!: number | null;
}

@ObjectType("RevocationConfirmationConnection", { description: "A page of a revocation's confirmations, by gateway." })
export class RevocationConfirmationConnection extends connectionType(
  RevocationConfirmationType,
  "RevocationConfirmation",
) {}

@ObjectType("RevocationProgress", { description: "A revocation at all gateways that were enrolled at the time." })
export class RevocationProgressType {
  @Field(() => Int, { description: "How many they are." })
  gateways!: number;

  @Field(() => Int, { description: "How many have confirmed it." })
  confirmed!: number;

  @Field(() => Int, { description: "How many have not and are not connected." })
  away!: number;

  @Field(() => Int, { description: "IKE SAs that it has ended so far." })
  endedSas!: number;

  @Field(() => Date, { nullable: true, description: "When the last of them confirmed it; null: not all have." })
  completeAt!: Date | null;
}

@ObjectType("Revocation", { description: "An entry of the register of whom gateways let in no more." })
export class RevocationType {
  @Field(() => ID, { description: "Identifies the entry." })
  id!: string;

  @Field(() => Int, { description: "Counts up in the organization." })
  number!: number;

  @Field(() => RevocationSubject, { description: "What is refused." })
  kind!: RevocationSubject;

  @Field(() => ID, { description: "The certificate or the person, who may be deleted by now." })
  subjectId!: string;

  @Field({ description: "The certificate's subject, the person's user name." })
  name!: string;

  @Field({ description: "Whether it takes an earlier one back." })
  lifted!: boolean;

  @Field({ description: "When it was written." })
  at!: Date;
}

@ObjectType("RevocationConnection", { description: "A page of the register of revocations." })
export class RevocationConnection extends connectionType(RevocationType, "Revocation") {}
