import { Field, ID, ObjectType, registerEnumType } from "@nestjs/graphql";
import { AuthorityLevel, AuthorityPurpose } from "../../platform/prisma/generated/enums.js";

registerEnumType(AuthorityPurpose, {
  name: "AuthorityPurpose",
  valuesMap: {
    GATEWAY_IDENTITY: { description: "Issues what gateways show their IKE peers." },
    CONTROL_CHANNEL: { description: "Issues what agents and the control plane show each other." },
  },
});
registerEnumType(AuthorityLevel, { name: "AuthorityLevel" });

@ObjectType("CertificateAuthority", { description: "A certificate authority that is built in." })
export class CertificateAuthorityType {
  @Field(() => ID)
  id!: string;

  @Field(() => AuthorityPurpose)
  purpose!: AuthorityPurpose;

  @Field(() => AuthorityLevel)
  level!: AuthorityLevel;

  @Field({ description: "Subject, as RFC 4514 writes names." })
  name!: string;

  @Field({ description: "SHA-256 of the certificate, lower-case hexadecimal." })
  fingerprint!: string;

  @Field({ description: "The certificate, PEM." })
  pem!: string;

  @Field()
  notBefore!: Date;

  @Field()
  notAfter!: Date;
}
