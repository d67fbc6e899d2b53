import { Field, ID, InputType, ObjectType } from "@nestjs/graphql";
import { connectionType } from "../../platform/graphql/connection.js";
import { CertificateStateName, CertificateType } from "./holder.types.js";
import type { CertificateState } from "./inventory.service.js";

@ObjectType("CertificateConnection", { description: "A page of certificates." })
export class CertificateConnection extends connectionType(CertificateType, "Certificate") {}

@ObjectType("CertificateSighting", { description: "Where a certificate is in use, as a gateway has told." })
export class CertificateSightingType {
  @Field(() => ID, { description: "The gateway." })
  gatewayId!: string;

  @Field({ description: "The gateway's name." })
  gateway!: string;

  @Field(() => String, {
    nullable: true,
    description:
      "Name of the tunnel or remote access at which somebody has proved himself by it; null: the gateway shows it.",
  })
  connection!: string | null;

  @Field(() => String, { nullable: true, description: "As whom he has proved himself last." })
  identity!: string | null;

  @Field({ description: "When the gateway has told of it first." })
  firstSeenAt!: Date;

  @Field({ description: "When it was seen last; what is in use all the time is told twice a day." })
  lastSeenAt!: Date;
}

@InputType({ description: "Which certificates." })
export class CertificateFilterInput {
  @Field(() => Date, { nullable: true, description: "Those that expire before this time." })
  expiresBefore?: Date | null;

  @Field(() => [CertificateStateName], { nullable: true, description: "Those in one of these states." })
  states?: CertificateState[] | null;

  @Field(() => ID, { nullable: true, description: "Those deployed at this gateway." })
  gatewayId?: string | null;

  @Field(() => ID, { nullable: true, description: "Those that this authority issued." })
  authorityId?: string | null;
}

@InputType({ description: "A certificate that somebody else's authority issued." })
export class RecordCertificateInput {
  @Field({ description: "The certificate, PEM; what follows the first one is not looked at." })
  pem!: string;

  @Field({ description: "Who uses it, 1 to 63 characters." })
  holder!: string;

  @Field(() => ID, { nullable: true, description: "The gateway that it is deployed at." })
  gatewayId?: string | null;
}
