import { Field, ID, InputType, Int, ObjectType, registerEnumType } from "@nestjs/graphql";
import type { KeyKind, KeyType } from "@sallyport/pki";
import { connectionType } from "../../platform/graphql/connection.js";
import { AuthorityLevel, AuthorityPurpose } from "../../platform/prisma/generated/enums.js";
import { KeyStoreName } from "./authority-keys.js";
import { KeyKindName, KeyTypeName } from "./key-type.js";

registerEnumType(AuthorityPurpose, {
  name: "AuthorityPurpose",
  description: "What an authority issues.",
  valuesMap: {
    GATEWAY_IDENTITY: { description: "Issues what gateways show their IKE peers." },
    CONTROL_CHANNEL: { description: "Issues what agents and the control plane show each other." },
    PROFILES: { description: "Issues by certificate profiles." },
  },
});
registerEnumType(KeyStoreName, {
  name: "KeyStore",
  description: "Where the private key of an authority is.",
  valuesMap: {
    DATABASE: { description: "Sealed in the database." },
    PKCS11: { description: "In the installation's PKCS#11 token (an HSM), which it never leaves." },
  },
});
registerEnumType(AuthorityLevel, {
  name: "AuthorityLevel",
  description: "Where an authority stands in its chain.",
  valuesMap: {
    ROOT: { description: "What is trusted." },
    ISSUING: { description: "Stands below another authority." },
  },
});

@ObjectType("CertificateAuthority", { description: "A certificate authority: built in, made here, or imported." })
export class CertificateAuthorityType {
  @Field(() => ID, { description: "Identifies the authority." })
  id!: string;

  @Field(() => AuthorityPurpose, { description: "What it issues." })
  purpose!: AuthorityPurpose;

  @Field(() => AuthorityLevel, { description: "Where it stands in its chain." })
  level!: AuthorityLevel;

  @Field(() => ID, { nullable: true, description: "The authority above it; null for a root." })
  parentId!: string | null;

  @Field({ description: "Subject, as RFC 4514 writes names." })
  name!: string;

  @Field({ description: "SHA-256 of the certificate, lower-case hexadecimal." })
  fingerprint!: string;

  @Field(() => KeyKindName, { description: "The kind of its key." })
  keyKind!: KeyKind;

  @Field(() => KeyStoreName, { nullable: true, description: "Where its private key is; null: elsewhere." })
  keyStore!: KeyStoreName | null;

  @Field({ description: "Whether it issues here: its key is in the key store, and it was not retired." })
  canSign!: boolean;

  @Field(() => Int, { nullable: true, description: "How many authorities may stand below it; null: any number." })
  pathLength!: number | null;

  @Field({ description: "The certificate, PEM." })
  pem!: string;

  @Field({ description: "From when its certificate is valid." })
  notBefore!: Date;

  @Field({ description: "Until when its certificate is valid." })
  notAfter!: Date;
}

@ObjectType("CertificateAuthorityConnection", { description: "A page of certificate authorities." })
export class CertificateAuthorityConnection extends connectionType(CertificateAuthorityType, "CertificateAuthority") {}

@ObjectType("CertificateAuthorityRequest", {
  description: "An authority to be: its key is here, its certificate is asked of an authority elsewhere.",
})
export class AuthorityRequestType {
  @Field(() => ID, { description: "Identifies the request." })
  id!: string;

  @Field({ description: "Subject, as RFC 4514 writes names." })
  name!: string;

  @Field(() => KeyKindName, { description: "The kind of its key." })
  keyKind!: KeyKind;

  @Field({ description: "The certificate request (PKCS#10), PEM: take it to the authority elsewhere." })
  csr!: string;

  @Field({ description: "When it was made." })
  createdAt!: Date;
}

@ObjectType("CertificateAuthorityRequestConnection", { description: "A page of requests for authorities." })
export class AuthorityRequestConnection extends connectionType(AuthorityRequestType, "CertificateAuthorityRequest") {}

export const SubtreeType = { DNS: "dns", EMAIL: "email", IP: "ip" } as const;
registerEnumType(SubtreeType, {
  name: "NameSubtreeType",
  description: "What kind of names a subtree holds.",
  valuesMap: {
    DNS: { description: "A DNS name and all below it." },
    EMAIL: { description: "The mailboxes of a host." },
    IP: { description: "The addresses of a prefix." },
  },
});

@InputType({ description: "Names that belong together." })
export class NameSubtreeInput {
  @Field(() => SubtreeType, { description: "What kind of names." })
  type!: "dns" | "email" | "ip";

  @Field({ description: "The DNS name, the host or the prefix." })
  value!: string;
}

@InputType({ description: "For which names an authority may issue (RFC 5280 §4.2.1.10)." })
export class NameConstraintsInput {
  @Field(() => [NameSubtreeInput], { defaultValue: [], description: "Of each kind that is listed, these names only." })
  permitted!: NameSubtreeInput[];

  @Field(() => [NameSubtreeInput], { defaultValue: [], description: "Never these names." })
  excluded!: NameSubtreeInput[];
}

@InputType({ description: "An authority to make, whose key and certificate are made here." })
export class CreateCertificateAuthorityInput {
  @Field({ description: "Its common name, 1 to 63 characters." })
  name!: string;

  @Field(() => String, {
    nullable: true,
    description: "Its organization's name; absent: as this organization is called.",
  })
  organizationName?: string | null;

  @Field(() => KeyTypeName, { defaultValue: KeyTypeName.ECDSA_P256, description: "The key to make." })
  keyType!: KeyType;

  @Field(() => KeyStoreName, { defaultValue: KeyStoreName.DATABASE, description: "Where its private key is kept." })
  keyStore!: KeyStoreName;

  @Field(() => ID, { nullable: true, description: "The authority above it; absent: it is a root." })
  parentId?: string | null;

  @Field(() => Int, {
    nullable: true,
    description: "How many authorities may stand below it; absent: none below a parent, any number below a root.",
  })
  pathLength?: number | null;

  @Field(() => NameConstraintsInput, { nullable: true, description: "For which names it may issue; absent: for all." })
  nameConstraints?: NameConstraintsInput | null;

  @Field(() => Int, { nullable: true, description: "Days; absent: ten years for a root, five for others." })
  validDays?: number | null;
}

@InputType({ description: "An authority to be, certified elsewhere." })
export class RequestCertificateAuthorityInput {
  @Field({ description: "Its common name, 1 to 63 characters." })
  name!: string;

  @Field(() => String, {
    nullable: true,
    description: "Its organization's name; absent: as this organization is called.",
  })
  organizationName?: string | null;

  @Field(() => KeyTypeName, { defaultValue: KeyTypeName.ECDSA_P256, description: "The key to make." })
  keyType!: KeyType;

  @Field(() => KeyStoreName, { defaultValue: KeyStoreName.DATABASE, description: "Where its private key is kept." })
  keyStore!: KeyStoreName;
}

@InputType({ description: "What the authority elsewhere made of a request." })
export class CompleteCertificateAuthorityInput {
  @Field(() => ID, { description: "Which request." })
  requestId!: string;

  @Field({
    description: "The certificate, then those above it up to the root or to an authority that is known here, PEM.",
  })
  certificates!: string;
}

@InputType({ description: "An authority that was made elsewhere." })
export class ImportCertificateAuthorityInput {
  @Field({
    description: "Its certificate, then those above it up to the root or to an authority that is known here, PEM.",
  })
  certificates!: string;

  @Field({
    description:
      "Its private key, PEM: PKCS#8 (also encrypted), PKCS#1 or SEC 1. It is stored sealed and shown nowhere.",
  })
  privateKey!: string;

  @Field(() => String, { nullable: true, description: "What the private key is encrypted with." })
  passphrase?: string | null;

  @Field(() => KeyStoreName, { defaultValue: KeyStoreName.DATABASE, description: "Where its private key is kept." })
  keyStore!: KeyStoreName;
}
