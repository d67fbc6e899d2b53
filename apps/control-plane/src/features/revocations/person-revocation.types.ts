import { Field, ID, InputType, ObjectType } from "@nestjs/graphql";
import { RevocationReason } from "../../platform/prisma/generated/enums.js";
import { CertificateType } from "../certificates/holder.types.js";
import { RoadWarriorType } from "../road-warriors/road-warrior.types.js";

@InputType({ description: "A person who is let in no more." })
export class RevokeRoadWarriorInput {
  @Field(() => ID, { description: "Which person." })
  id!: string;

  @Field(() => RevocationReason, {
    defaultValue: RevocationReason.UNSPECIFIED,
    description: "Why, for the lists and answers about the person's certificates; a hold is none.",
  })
  reason!: RevocationReason;
}

@ObjectType({ description: "A person who was revoked. Each `revocation` in it has the gateways' confirmations." })
export class RevokeRoadWarriorPayload {
  @Field(() => RoadWarriorType, { description: "The person, disabled." })
  roadWarrior!: RoadWarriorType;

  @Field(() => [CertificateType], { description: "The person's certificates that were not revoked before." })
  certificates!: CertificateType[];
}
