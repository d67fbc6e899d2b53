import { Field, ID, InputType, Int, ObjectType, registerEnumType } from "@nestjs/graphql";
import type { EXTENDED_KEY_USAGE, KeyKind, KeyType, SubjectName } from "@sallyport/pki";
import { connectionType } from "../../platform/graphql/connection.js";
import { AuthorityPurpose, ProfileKind, RevocationReason } from "../../platform/prisma/generated/enums.js";
import type { CertificateState } from "./inventory.service.js";
import { KeyKindName, KeyTypeName } from "./key-type.js";

registerEnumType(ProfileKind, {
  name: "CertificateProfileKind",
  description: "Whom a profile's certificates are for.",
  valuesMap: {
    GATEWAY: { description: "Gateways that are not ours: serverAuth, clientAuth, iKEIntermediate, 90 days." },
    ROAD_WARRIOR: { description: "People's devices: clientAuth, iKEIntermediate, 365 days." },
    OPERATOR: { description: "People who operate the fleet: clientAuth, 30 days." },
  },
});
registerEnumType(RevocationReason, {
  name: "RevocationReason",
  description: "Why a certificate was revoked (RFC 5280 §5.3.1).",
  valuesMap: {
    UNSPECIFIED: { description: "Not said." },
    KEY_COMPROMISE: { description: "Somebody else has the key, or may have it." },
    CA_COMPROMISE: { description: "Somebody else has the authority's key." },
    AFFILIATION_CHANGED: { description: "The holder's name or post changed." },
    SUPERSEDED: { description: "Another certificate took its place." },
    CESSATION_OF_OPERATION: { description: "It is not needed any more." },
    CERTIFICATE_HOLD: { description: "Not valid for now; it may be released." },
    PRIVILEGE_WITHDRAWN: { description: "The holder may no longer do what it was for." },
  },
});

const UsageName = {
  SERVER_AUTH: "serverAuth",
  CLIENT_AUTH: "clientAuth",
  IKE_INTERMEDIATE: "ikeIntermediate",
  IPSEC_IKE: "ipsecIke",
} as const satisfies Record<string, keyof typeof EXTENDED_KEY_USAGE>;
registerEnumType(UsageName, {
  name: "ExtendedKeyUsage",
  description: "What a certificate may be used for.",
  valuesMap: {
    SERVER_AUTH: { description: "TLS servers, and what many IKE clients ask of a gateway." },
    CLIENT_AUTH: { description: "TLS clients, and what many gateways ask of IKE clients." },
    IKE_INTERMEDIATE: { description: "1.3.6.1.5.5.8.2.2, which older IKE clients ask for." },
    IPSEC_IKE: { description: "id-kp-ipsecIKE (RFC 4945)." },
  },
});

const NameType = { DNS: "dns", EMAIL: "email", IP: "ip" } as const;
registerEnumType(NameType, {
  name: "SubjectNameType",
  description: "A form of name.",
  valuesMap: {
    DNS: { description: "A DNS name." },
    EMAIL: { description: "A mailbox." },
    IP: { description: "An IP address." },
  },
});

@InputType({ description: "A name that a certificate is to prove." })
export class SubjectNameInput implements SubjectName {
  @Field(() => NameType, { description: "Its form." })
  type!: "dns" | "email" | "ip";

  @Field({ description: "The name." })
  value!: string;
}

@ObjectType("CertificateProfile", { description: "What an authority issues on request." })
export class CertificateProfileType {
  @Field(() => ID, { description: "Identifies the profile." })
  id!: string;

  @Field({ description: "Unique in the organization." })
  name!: string;

  @Field(() => ProfileKind, { description: "Whom its certificates are for." })
  kind!: ProfileKind;

  @Field(() => ID, { description: "The authority that issues." })
  authorityId!: string;

  @Field(() => [String], {
    description: "DNS names that may be in them, each with all names below it; `*`: every name.",
  })
  dnsNames!: string[];

  @Field(() => [String], { description: "Hosts of mailboxes that may be in them; `*`: every host." })
  emailHosts!: string[];

  @Field(() => [String], { description: "Prefixes of addresses that may be in them." })
  addresses!: string[];

  @Field(() => [KeyKindName], { description: "Kinds of keys that they may hold." })
  keyKinds!: KeyKind[];

  @Field(() => [String], { description: "Their extended key usages, as object identifiers." })
  extendedKeyUsages!: string[];

  @Field(() => Int, { description: "Days that they are valid at most, and when nothing else is asked for." })
  validDays!: number;

  @Field({ description: "When it was made." })
  createdAt!: Date;
}

@ObjectType("CertificateProfileConnection", { description: "A page of certificate profiles." })
export class CertificateProfileConnection extends connectionType(CertificateProfileType, "CertificateProfile") {}

@InputType({ description: "A certificate profile to make." })
export class CreateCertificateProfileInput {
  @Field({ description: "Unique in the organization, 1 to 63 characters." })
  name!: string;

  @Field(() => ProfileKind, { description: "Whom its certificates are for; gives the defaults." })
  kind!: ProfileKind;

  @Field(() => ID, { description: "The authority that issues." })
  authorityId!: string;

  @Field(() => [String], { defaultValue: [], description: "DNS names, each with all below it; `*`: every name." })
  dnsNames!: string[];

  @Field(() => [String], { defaultValue: [], description: "Hosts of mailboxes; `*`: every host." })
  emailHosts!: string[];

  @Field(() => [String], { defaultValue: [], description: "Prefixes of addresses." })
  addresses!: string[];

  @Field(() => [KeyKindName], { nullable: true, description: "Kinds of keys; absent: all but Ed448." })
  keyKinds?: KeyKind[] | null;

  @Field(() => [UsageName], { nullable: true, description: "Extended key usages; absent: those of the kind." })
  extendedKeyUsages?: (keyof typeof EXTENDED_KEY_USAGE)[] | null;

  @Field(() => Int, {
    nullable: true,
    description: "Days that certificates are valid at most; absent: those of the kind.",
  })
  validDays?: number | null;
}

export const CertificateStateName = { VALID: "VALID", HELD: "HELD", REVOKED: "REVOKED", EXPIRED: "EXPIRED" } as const;
registerEnumType(CertificateStateName, {
  name: "CertificateState",
  description: "What a certificate is worth now.",
  valuesMap: {
    VALID: { description: "Neither revoked nor expired." },
    HELD: { description: "On hold." },
    REVOKED: { description: "Revoked for good." },
    EXPIRED: { description: "Its time is over." },
  },
});

const KindName = { ISSUED: "ISSUED", FOREIGN: "FOREIGN", AUTHORITY: "AUTHORITY" } as const;
registerEnumType(KindName, {
  name: "CertificateKind",
  description: "Where a certificate comes from.",
  valuesMap: {
    ISSUED: { description: "One of our authorities issued it." },
    FOREIGN: { description: "Somebody else's authority issued it." },
    AUTHORITY: { description: "It is an authority's own." },
  },
});

@ObjectType("Certificate", { description: "A certificate that one of our authorities issued, or a foreign one." })
export class CertificateType {
  @Field(() => ID, { description: "Identifies the certificate." })
  id!: string;

  @Field(() => KindName, { description: "Where it comes from." })
  kind!: keyof typeof KindName;

  @Field(() => CertificateStateName, { description: "What it is worth now." })
  state!: CertificateState;

  @Field(() => ID, {
    nullable: true,
    description: "The authority that issued it; null: a foreign one, or a root itself.",
  })
  authorityId!: string | null;

  @Field(() => ID, { nullable: true, description: "The profile by which it was issued." })
  profileId!: string | null;

  @Field(() => ID, { nullable: true, description: "The gateway that shows it; null: somebody else's." })
  gatewayId!: string | null;

  @Field(() => AuthorityPurpose, { nullable: true, description: "What it is for; null: a foreign one." })
  purpose!: AuthorityPurpose | null;

  @Field({ description: "Who uses it: a gateway, a person, a device." })
  holder!: string;

  @Field({ description: "Serial number, lower-case hexadecimal." })
  serial!: string;

  @Field({ description: "SHA-256 of the certificate, lower-case hexadecimal." })
  fingerprint!: string;

  @Field({ description: "Subject, as RFC 4514 writes names." })
  subject!: string;

  @Field({ description: "Issuer, as RFC 4514 writes names." })
  issuer!: string;

  @Field(() => [String], { description: "The names that it proves, as `type:value`." })
  names!: string[];

  @Field({ description: "From when it is valid." })
  notBefore!: Date;

  @Field({ description: "Until when it is valid." })
  notAfter!: Date;

  @Field(() => Int, { description: "Whole days until it expires; negative when it has." })
  daysLeft!: number;

  @Field(() => ID, { nullable: true, description: "The certificate that it was renewed or re-keyed from." })
  replacesId!: string | null;

  @Field(() => Date, { nullable: true, description: "When a newer one took its place." })
  supersededAt!: Date | null;

  @Field(() => Date, { nullable: true, description: "Since when it is revoked or on hold." })
  revokedAt!: Date | null;

  @Field(() => RevocationReason, { nullable: true, description: "Why it is revoked." })
  revocationReason!: RevocationReason | null;

  @Field({ description: "The certificate, PEM." })
  pem!: string;
}

@ObjectType("IssuedCertificate", { description: "A certificate on its way to its holder." })
export class IssuedCertificateType {
  @Field(() => CertificateType, { description: "The certificate." })
  certificate!: CertificateType;

  @Field({ description: "It, then the authorities above it up to the root, PEM." })
  chain!: string;

  @Field(() => String, {
    nullable: true,
    description: "Its private key, PKCS#8 PEM, when it was made here. It is shown this once and kept nowhere.",
  })
  privateKey!: string | null;
}

@InputType({ description: "A certificate to issue to the holder of a key." })
export class SignCsrInput {
  @Field(() => ID, { description: "By which profile." })
  profileId!: string;

  @Field({ description: "Who uses it, 1 to 63 characters: the common name of its subject." })
  holder!: string;

  @Field({ description: "The certificate request (PKCS#10), PEM. It proves the key; its subject is not taken over." })
  csr!: string;

  @Field(() => [SubjectNameInput], {
    nullable: true,
    description: "The names; absent: those that the request asks for.",
  })
  names?: SubjectNameInput[] | null;

  @Field(() => Int, { nullable: true, description: "Days; absent: those of the profile." })
  validDays?: number | null;
}

@InputType({ description: "A certificate to issue with a key that is made here." })
export class IssueCertificateInput {
  @Field(() => ID, { description: "By which profile." })
  profileId!: string;

  @Field({ description: "Who uses it, 1 to 63 characters: the common name of its subject." })
  holder!: string;

  @Field(() => [SubjectNameInput], { description: "The names." })
  names!: SubjectNameInput[];

  @Field(() => KeyTypeName, { defaultValue: KeyTypeName.ECDSA_P256, description: "The key to make." })
  keyType!: KeyType;

  @Field(() => String, {
    nullable: true,
    description: "Encrypts the private key (PBES2, AES-256); absent: it is given plain.",
  })
  passphrase?: string | null;

  @Field(() => Int, { nullable: true, description: "Days; absent: those of the profile." })
  validDays?: number | null;
}

@InputType({ description: "A certificate to issue again with another key." })
export class RekeyCertificateInput {
  @Field(() => ID, { description: "Which certificate." })
  id!: string;

  @Field(() => String, {
    nullable: true,
    description: "A certificate request with the new key, PEM; absent: a key is made here.",
  })
  csr?: string | null;

  @Field(() => KeyTypeName, { defaultValue: KeyTypeName.ECDSA_P256, description: "The key to make." })
  keyType!: KeyType;

  @Field(() => String, { nullable: true, description: "Encrypts a private key that is made here." })
  passphrase?: string | null;
}

@InputType({ description: "A certificate to revoke for good." })
export class RevokeCertificateInput {
  @Field(() => ID, { description: "Which certificate." })
  id!: string;

  @Field(() => RevocationReason, {
    defaultValue: RevocationReason.UNSPECIFIED,
    description: "Why; a hold is put on with `holdCertificate`.",
  })
  reason!: RevocationReason;
}
