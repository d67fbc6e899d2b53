import { Field, ID, InputType, ObjectType, registerEnumType } from "@nestjs/graphql";
import type { TsigAlgorithm } from "@sallyport/dns";
import { connectionType } from "../../platform/graphql/connection.js";
import { DnsZoneMethod } from "../../platform/prisma/generated/enums.js";

registerEnumType(DnsZoneMethod, {
  name: "DnsZoneMethod",
  description: "How records of a zone are changed.",
  valuesMap: {
    RFC_2136: { description: "By updates that a TSIG key signs (RFC 2136, RFC 8945)." },
    PROGRAM: { description: "By a program of the installation's." },
  },
});

/** Algorithms as GraphQL names them. */
export const TsigAlgorithmName = {
  HMAC_SHA256: "hmac-sha256",
  HMAC_SHA512: "hmac-sha512",
} as const satisfies Record<string, TsigAlgorithm>;
registerEnumType(TsigAlgorithmName, {
  name: "TsigAlgorithm",
  description: "How a TSIG key signs.",
  valuesMap: {
    HMAC_SHA256: { description: "hmac-sha256." },
    HMAC_SHA512: { description: "hmac-sha512." },
  },
});

@ObjectType("DnsZone", { description: "A DNS zone in which challenges of ACME directories can be answered." })
export class DnsZoneType {
  @Field(() => ID, { description: "Identifies it." })
  id!: string;

  @Field({ description: "Its domain name." })
  name!: string;

  @Field(() => DnsZoneMethod, { description: "How its records are changed." })
  method!: DnsZoneMethod;

  @Field(() => [String], {
    description: "Servers, as `host:port`, that have to show a record before a directory is told to look.",
  })
  nameServers!: string[];

  @Field(() => String, { nullable: true, description: "Where updates go, as `host:port`." })
  server!: string | null;

  @Field(() => String, { nullable: true, description: "Name of the TSIG key." })
  keyName!: string | null;

  @Field(() => TsigAlgorithmName, { nullable: true, description: "How the TSIG key signs." })
  algorithm!: TsigAlgorithm | null;

  @Field(() => String, { nullable: true, description: "Name of the program." })
  program!: string | null;

  @Field({ description: "When it was described." })
  createdAt!: Date;
}

@ObjectType("DnsZoneConnection", { description: "A page of DNS zones." })
export class DnsZoneConnection extends connectionType(DnsZoneType, "DnsZone") {}

@InputType({ description: "How a zone is changed by updates (RFC 2136)." })
export class DnsUpdateInput {
  @Field({ description: "The zone's primary server, as `host` or `host:port`." })
  server!: string;

  @Field({ description: "Name of the TSIG key, as the server knows it." })
  keyName!: string;

  @Field(() => TsigAlgorithmName, { defaultValue: "hmac-sha256", description: "How the TSIG key signs." })
  algorithm!: TsigAlgorithm;

  @Field({ description: "The TSIG key: 16 to 128 octets in base64. It is kept sealed and never shown again." })
  secret!: string;
}

@InputType({ description: "How a zone is changed: either `update` or `program`." })
export class DnsZoneAccessInput {
  @Field(() => DnsUpdateInput, { nullable: true, description: "By updates that a TSIG key signs." })
  update?: DnsUpdateInput | null;

  @Field(() => String, {
    nullable: true,
    description: "By the program of this name in the folder that `SALLYPORT_DNS_PROGRAMS` names.",
  })
  program?: string | null;

  @Field(() => [String], {
    defaultValue: [],
    description:
      "At most 8 servers, as `host` or `host:port`, that have to show a record before a directory is told to look; none: the one that takes the updates.",
  })
  nameServers!: string[];
}

@InputType({ description: "A zone to be described." })
export class CreateDnsZoneInput extends DnsZoneAccessInput {
  @Field({ description: "Its domain name, e.g. `example.org`." })
  name!: string;
}

@InputType({ description: "A zone that is changed in another way from now on." })
export class UpdateDnsZoneInput extends DnsZoneAccessInput {
  @Field(() => ID, { description: "Which zone." })
  id!: string;
}
