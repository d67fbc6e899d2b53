import { Field, ID, InputType, Int, ObjectType, registerEnumType } from "@nestjs/graphql";
import type { KeyType } from "@sallyport/pki";
import { connectionType } from "../../platform/graphql/connection.js";
import { AcmeAccountState, AcmeChallenge, AcmeOrderState } from "../../platform/prisma/generated/enums.js";
import { CertificateType } from "../certificates/holder.types.js";
import { KeyTypeName } from "../certificates/key-type.js";
import { MaintenanceWindowInput } from "../maintenance/window.types.js";

registerEnumType(AcmeAccountState, {
  name: "AcmeAccountState",
  description: "How an account stands at its directory.",
  valuesMap: {
    REGISTERING: { description: "The directory has not answered yet." },
    READY: { description: "Certificates can be ordered with it." },
    FAILED: { description: "The directory refused it; `failure` says why." },
  },
});
registerEnumType(AcmeChallenge, {
  name: "AcmeChallenge",
  description: "How an authority is shown that a gateway has a name.",
  valuesMap: {
    HTTP_01: { description: "The gateway itself answers on its TCP port 80, for as long as it is asked." },
    TLS_ALPN_01: {
      description: "The gateway itself answers on its TCP port 443 (RFC 8737), for as long as it is asked.",
    },
    DNS_01: {
      description: "A TXT record below each name answers, in one of `dnsZones`. The gateway need not be reachable.",
    },
  },
});
registerEnumType(AcmeOrderState, {
  name: "AcmeOrderState",
  description: "How far an order is.",
  valuesMap: {
    REQUESTED: { description: "The gateway is to make a key." },
    KEYED: { description: "The directory is to be given the order." },
    ORDERED: { description: "The gateway is to answer challenges." },
    VALIDATING: { description: "The directory looks at the answers." },
    ISSUING: { description: "The directory is to issue the certificate." },
    ISSUED: { description: "The certificate is here; the gateway has it with its next intent." },
    FAILED: { description: "It came to nothing; `failure` says why." },
  },
});

@ObjectType("AcmeSubproblem", { description: "A part of a problem that is about one name." })
export class AcmeSubproblemType {
  @Field({ description: "URN of the error." })
  type!: string;

  @Field({ description: "The directory's words." })
  detail!: string;

  @Field(() => String, { nullable: true, description: "The name that it is about." })
  name!: string | null;
}

@ObjectType("AcmeProblem", { description: "What a directory said was wrong (RFC 8555 §6.7)." })
export class AcmeProblemType {
  @Field({ description: "URN of the error, e.g. `urn:ietf:params:acme:error:connection`." })
  type!: string;

  @Field({ description: "The directory's words." })
  detail!: string;

  @Field(() => Int, { nullable: true, description: "HTTP status." })
  status!: number | null;

  @Field(() => [AcmeSubproblemType], { description: "Its parts, at most 20." })
  subproblems!: AcmeSubproblemType[];
}

@ObjectType("AcmeFailure", { description: "Why something did not work." })
export class AcmeFailureType {
  @Field({ description: "Our code, e.g. `acme/challenge-failed`, or the agent's." })
  code!: string;

  @Field({ description: "In words." })
  message!: string;

  @Field({ description: "Whether it is tried again." })
  retry!: boolean;

  @Field(() => AcmeProblemType, { nullable: true, description: "The directory's own account of it, if it gave one." })
  problem!: AcmeProblemType | null;
}

@ObjectType("AcmeAccount", { description: "An account at an ACME directory." })
export class AcmeAccountType {
  @Field(() => ID, { description: "Identifies the account." })
  id!: string;

  @Field({ description: "Unique in the organization." })
  name!: string;

  @Field({ description: "Where the directory is." })
  directoryUrl!: string;

  @Field(() => [String], { description: "Whom the directory's people may write to." })
  contacts!: string[];

  @Field({ description: "How it stands at its directory." })
  state!: AcmeAccountState;

  @Field(() => String, { nullable: true, description: "Its URL; null: not registered." })
  accountUrl!: string | null;

  @Field(() => Int, { description: "Orders that may be begun in a week." })
  ordersPerWeek!: number;

  @Field({ description: "When it was made." })
  createdAt!: Date;
}

@ObjectType("AcmeAccountConnection", { description: "A page of accounts." })
export class AcmeAccountConnection extends connectionType(AcmeAccountType, "AcmeAccount") {}

@ObjectType("AcmeOrder", { description: "An order of a certificate, from the key to the certificate." })
export class AcmeOrderType {
  @Field(() => ID, { description: "Identifies the order." })
  id!: string;

  @Field(() => AcmeOrderState, { description: "How far it is." })
  state!: AcmeOrderState;

  @Field(() => [String], { description: "The names that were ordered." })
  names!: string[];

  @Field(() => String, { nullable: true, description: "Its URL at the directory." })
  orderUrl!: string | null;

  @Field(() => Int, { description: "Attempts at the present step that failed." })
  attempts!: number;

  @Field({ description: "When it was begun." })
  createdAt!: Date;

  @Field(() => Date, { nullable: true, description: "When it ended, either way." })
  finishedAt!: Date | null;
}

@ObjectType("AcmeCertificate", { description: "A gateway's certificate of a public authority." })
export class AcmeCertificateType {
  @Field(() => ID, { description: "Identifies it; certificates come and go." })
  id!: string;

  @Field(() => ID, { description: "The gateway that makes the key and shows the certificate to road warriors." })
  gatewayId!: string;

  @Field(() => [String], { description: "DNS names; by the first one road warriors call the gateway." })
  names!: string[];

  @Field(() => AcmeChallenge, { description: "How the names are proved." })
  challenge!: AcmeChallenge;

  @Field(() => KeyTypeName, { description: "What kind of key the gateway makes." })
  keyType!: KeyType;

  @Field(() => Int, { description: "For how many hours a renewed certificate is announced before it is shown." })
  announceHours!: number;

  @Field(() => Date, {
    nullable: true,
    description: "When it is renewed by itself, unless the directory wants it sooner; null: there is none yet.",
  })
  renewAt!: Date | null;

  @Field({ description: "When it was asked for first." })
  createdAt!: Date;
}

@ObjectType("AcmeAnnouncement", { description: "A certificate that its gateway is going to show." })
export class AcmeAnnouncementType {
  @Field(() => CertificateType, { description: "The certificate." })
  certificate!: CertificateType;

  @Field({ description: "SHA-256 of its public key (SubjectPublicKeyInfo), lower-case hexadecimal: what peers pin." })
  pin!: string;

  @Field({ description: "From when on the gateway shows it, unless `showAnnouncedKey` comes before." })
  showAt!: Date;
}

@ObjectType("AcmeCertificateConnection", { description: "A page of certificates of public authorities." })
export class AcmeCertificateConnection extends connectionType(AcmeCertificateType, "AcmeCertificate") {}

@InputType({ description: "How a directory knows its customer (RFC 8555 §7.3.4)." })
export class ExternalAccountBindingInput {
  @Field({ description: "The key's name, from the directory." })
  keyId!: string;

  @Field({ description: "The key, base64url, from the directory. It is forgotten when the account is registered." })
  hmacKey!: string;
}

@InputType({ description: "An account to be made at an ACME directory." })
export class CreateAcmeAccountInput {
  @Field({ description: "Unique in the organization, 1 to 63 characters." })
  name!: string;

  @Field({ description: "Where the directory is, e.g. `https://acme-v02.api.letsencrypt.org/directory`." })
  directoryUrl!: string;

  @Field(() => [String], {
    defaultValue: [],
    description: "Whom the directory's people may write to, as `mailto:` URLs, at most 8.",
  })
  contacts!: string[];

  @Field({ description: "You agree to the directory's terms of service." })
  termsOfServiceAgreed!: boolean;

  @Field(() => String, {
    nullable: true,
    description: "What the directory's own TLS certificate leads to, PEM; absent: the public authorities.",
  })
  directoryRoots?: string | null;

  @Field(() => ExternalAccountBindingInput, { nullable: true, description: "Where the directory asks for it." })
  externalAccountBinding?: ExternalAccountBindingInput | null;

  @Field(() => Int, { defaultValue: 40, description: "Orders that may be begun in a week, 1 to 100,000." })
  ordersPerWeek!: number;
}

@InputType({ description: "A gateway's certificate to be ordered." })
export class RequestAcmeCertificateInput {
  @Field(() => ID, { description: "The gateway that is to have it." })
  gatewayId!: string;

  @Field(() => ID, { description: "The account to order it with." })
  accountId!: string;

  @Field(() => [String], {
    description:
      "1 to 25 DNS names that lead to the gateway; by the first one road warriors call it. With `DNS_01` the others may be wildcards, as `*.vpn.example.org`.",
  })
  names!: string[];

  @Field(() => AcmeChallenge, { defaultValue: AcmeChallenge.HTTP_01, description: "How the names are proved." })
  challenge!: AcmeChallenge;

  @Field(() => KeyTypeName, {
    defaultValue: "ecdsa-p256",
    description: "The kind of key that the gateway makes: ECDSA on P-256 or P-384, or RSA.",
  })
  keyType!: KeyType;

  @Field(() => MaintenanceWindowInput, {
    nullable: true,
    description:
      "When renewals may begin; absent: in the windows of the gateway's site. It stands back for a certificate that is about to expire.",
  })
  renewalWindow?: MaintenanceWindowInput | null;

  @Field(() => Int, {
    defaultValue: 0,
    description:
      "For how many hours a renewed certificate is announced before the gateway shows it, 0 to 720: time for peers who have pinned the old key to take both.",
  })
  announceHours!: number;
}

@InputType({ description: "Changes to a gateway's certificate that need no order." })
export class UpdateAcmeCertificateInput {
  @Field(() => ID, { description: "Which one." })
  id!: string;

  @Field(() => MaintenanceWindowInput, {
    nullable: true,
    description: "When renewals may begin; null: in the windows of the gateway's site; absent: as before.",
  })
  renewalWindow?: MaintenanceWindowInput | null;

  @Field(() => Int, {
    nullable: true,
    description: "For how many hours a renewed certificate is announced, 0 to 720; absent: as before.",
  })
  announceHours?: number | null;
}
