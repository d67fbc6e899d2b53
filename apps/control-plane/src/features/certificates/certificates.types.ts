import { Field, ID, ObjectType, registerEnumType } from "@nestjs/graphql";
import { AuthorityLevel, AuthorityPurpose } from "../../platform/prisma/generated/enums.js";

registerEnumType(AuthorityPurpose, {
  name: "AuthorityPurpose",
  description: "What an authority issues.",
  valuesMap: {
    GATEWAY_IDENTITY: { description: "Issues what gateways show their IKE peers." },
    CONTROL_CHANNEL: { description: "Issues what agents and the control plane show each other." },
  },
});
registerEnumType(AuthorityLevel, {
  name: "AuthorityLevel",
  description: "Where an authority stands in its chain.",
  valuesMap: {
    ROOT: { description: "What is trusted; it signs issuing authorities only." },
    ISSUING: { description: "Signs everything else." },
  },
});

@ObjectType("CertificateAuthority", { description: "A certificate authority that is built in." })
export class CertificateAuthorityType {
  @Field(() => ID, { description: "Identifies the authority." })
  id!: string;

  @Field(() => AuthorityPurpose, { description: "What it issues." })
  purpose!: AuthorityPurpose;

  @Field(() => AuthorityLevel, { description: "Where it stands in its chain." })
  level!: AuthorityLevel;

  @Field({ description: "Subject, as RFC 4514 writes names." })
  name!: string;

  @Field({ description: "SHA-256 of the certificate, lower-case hexadecimal." })
  fingerprint!: string;

  @Field({ description: "The certificate, PEM." })
  pem!: string;

  @Field({ description: "From when its certificate is valid." })
  notBefore!: Date;

  @Field({ description: "Until when its certificate is valid." })
  notAfter!: Date;
}
