import { Field, ID, InputType, ObjectType } from "@nestjs/graphql";
import { connectionType } from "../../platform/graphql/connection.js";
import { CertificateStateName, CertificateType } from "./holder.types.js";
import type { CertificateState } from "./inventory.service.js";

@ObjectType("CertificateConnection", { description: "A page of certificates." })
export class CertificateConnection extends connectionType(CertificateType, "Certificate") {}

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
