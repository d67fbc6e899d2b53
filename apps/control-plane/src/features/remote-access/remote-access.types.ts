import { Field, ID, InputType, Int, ObjectType, registerEnumType } from "@nestjs/graphql";
import { connectionType } from "../../platform/graphql/connection.js";
import { RemoteAccessMethod } from "../../platform/prisma/generated/enums.js";
import { GatewayType } from "../gateways/gateway.types.js";
import { RoadWarriorGroupType, RoadWarriorType } from "../road-warriors/road-warrior.types.js";

registerEnumType(RemoteAccessMethod, {
  name: "RemoteAccessMethod",
  description: "How people prove who they are.",
  valuesMap: {
    CERTIFICATE: { description: "By a certificate, in IKE itself." },
    EAP_TLS: { description: "By a certificate, in EAP-TLS." },
    EAP_MSCHAPV2: { description: "By user name and password, in EAP-MSCHAPv2." },
    CERTIFICATE_AND_EAP_MSCHAPV2: {
      description:
        "By both, one after the other (RFC 4739): a certificate in IKE, then the password of the same person.",
    },
  },
});

const NETWORKS = "Prefixes that are reached, whatever a device asks for; it is told them as split networks.";
const DNS = "Addresses of name servers, the preferred one first, at most 8.";
const POOLS =
  "Pools of the service that addresses are given from, the preferred one first; nobody else is kept out of them.";
const AUTHORITIES =
  "Roots of the organization that people's certificates lead to; empty, or with the root of its gateways: what its gateways trust of each other, also after a rotation.";
const STRICT =
  "Whether a certificate is refused of which nothing current is known: its list has expired or cannot be had. For roots of `authorityIds` alone.";
const SPLIT_DNS = "Domains that are asked of these name servers; empty: not told.";

@ObjectType("RemoteAccess", {
  description: "Remote access as a service: who gets in, with which addresses, and to what.",
})
export class RemoteAccessType {
  @Field(() => ID, { description: "Identifies the service." })
  id!: string;

  @Field({ description: "Unique in the organization." })
  name!: string;

  @Field(() => [RemoteAccessMethod], { description: "How people may prove who they are." })
  methods!: RemoteAccessMethod[];

  @Field(() => Int, {
    description: "Into how many shares its pools are cut; each gateway gives addresses of its own share.",
  })
  shares!: number;

  @Field(() => [String], { description: NETWORKS })
  networks!: string[];

  @Field(() => [String], { description: DNS })
  dns!: string[];

  @Field(() => [String], { description: SPLIT_DNS })
  splitDns!: string[];

  @Field(() => [String], { description: "What its gateways take for IKE; empty: the defaults." })
  ikeProposals!: string[];

  @Field(() => [String], { description: "What its gateways take for ESP; empty: the defaults." })
  espProposals!: string[];

  @Field(() => [ID], { description: AUTHORITIES })
  authorityIds!: string[];

  @Field({ description: STRICT })
  strictRevocation!: boolean;

  @Field({ description: "When it was made." })
  createdAt!: Date;
}

@ObjectType("RemoteAccessConnection", { description: "A page of services of remote access." })
export class RemoteAccessConnection extends connectionType(RemoteAccessType, "RemoteAccess") {}

@ObjectType("RemoteAccessGateway", { description: "A gateway that serves remote access." })
export class RemoteAccessGatewayType {
  @Field(() => GatewayType, { description: "The gateway; its host is what people call, its identity what it proves." })
  gateway!: GatewayType;

  @Field(() => Int, { description: "Which share of the pools is its own, from 0 on." })
  share!: number;

  @Field(() => [String], { description: "The ranges of all pools that it gives addresses of, exclusions left in." })
  addresses!: string[];
}

@ObjectType({ description: "What is different for a group or a person; null: as the service has it." })
class ToldType {
  @Field(() => [String], { nullable: true, description: NETWORKS })
  networks!: string[] | null;

  @Field(() => [String], { nullable: true, description: DNS })
  dns!: string[] | null;

  @Field(() => [String], { nullable: true, description: SPLIT_DNS })
  splitDns!: string[] | null;

  @Field(() => [ID], { nullable: true, description: POOLS })
  poolIds!: string[] | null;
}

@ObjectType("RemoteAccessGroup", { description: "A group that gets in, and what is different for it." })
export class RemoteAccessGroupType extends ToldType {
  @Field(() => RoadWarriorGroupType, { description: "The group." })
  group!: RoadWarriorGroupType;
}

@ObjectType("RemoteAccessPerson", { description: "What is different for one person." })
export class RemoteAccessPersonType extends ToldType {
  @Field(() => RoadWarriorType, { description: "The person." })
  roadWarrior!: RoadWarriorType;
}

@InputType({ description: "What is different for a group or a person; absent: as the service has it." })
class ToldInput {
  @Field(() => [String], { nullable: true, description: `${NETWORKS} At most 64; an empty list: nothing.` })
  networks?: string[] | null;

  @Field(() => [String], { nullable: true, description: DNS })
  dns?: string[] | null;

  @Field(() => [String], { nullable: true, description: SPLIT_DNS })
  splitDns?: string[] | null;

  @Field(() => [ID], { nullable: true, description: POOLS })
  poolIds?: string[] | null;
}

@InputType({ description: "A group that gets in." })
export class RemoteAccessGroupInput extends ToldInput {
  @Field(() => ID, { description: "Which group." })
  groupId!: string;
}

@InputType({ description: "What is different for one person, before what groups say. It lets nobody in." })
export class RemoteAccessPersonInput extends ToldInput {
  @Field(() => ID, { description: "Which person." })
  roadWarriorId!: string;
}

@InputType({ description: "Remote access to be set up." })
export class CreateRemoteAccessInput {
  @Field({ description: "Unique in the organization, 1 to 63 characters." })
  name!: string;

  @Field(() => [ID], { description: "Gateways with a host. Each serves one remote access at most." })
  gatewayIds!: string[];

  @Field(() => Int, {
    nullable: true,
    description:
      "Into how many shares the pools are cut, 1 to 64: as many as there will ever be gateways. It never changes. Absent: the power of two that the gateways need.",
  })
  shares?: number | null;

  @Field(() => [ID], { description: "1 to 16 pools that no other remote access has, the preferred one first." })
  poolIds!: string[];

  @Field(() => [RemoteAccessMethod], { description: "How people may prove who they are." })
  methods!: RemoteAccessMethod[];

  @Field(() => [String], { description: `${NETWORKS} At most 64.` })
  networks!: string[];

  @Field(() => [String], { defaultValue: [], description: DNS })
  dns!: string[];

  @Field(() => [String], { defaultValue: [], description: SPLIT_DNS })
  splitDns!: string[];

  @Field(() => [RemoteAccessGroupInput], {
    defaultValue: [],
    description:
      "Who gets in: people in one of these groups; empty: everybody. Of what several groups of a person say, all networks count, else the first.",
  })
  groups!: RemoteAccessGroupInput[];

  @Field(() => [RemoteAccessPersonInput], { defaultValue: [], description: "What is different for single persons." })
  people!: RemoteAccessPersonInput[];

  @Field(() => [String], {
    defaultValue: [],
    description: "What gateways take for IKE, e.g. `aes256-sha256-modp2048`; empty: the defaults.",
  })
  ikeProposals!: string[];

  @Field(() => [String], { defaultValue: [], description: "What gateways take for ESP; empty: the defaults." })
  espProposals!: string[];

  @Field(() => [ID], { defaultValue: [], description: `${AUTHORITIES} At most 16.` })
  authorityIds!: string[];

  @Field({ defaultValue: false, description: STRICT })
  strictRevocation!: boolean;
}

@InputType({
  description: "Changes of remote access; what is absent stays, a list that is given replaces the one before.",
})
export class UpdateRemoteAccessInput {
  @Field(() => ID, { description: "Which service." })
  id!: string;

  @Field(() => String, { nullable: true, description: "Unique in the organization, 1 to 63 characters." })
  name?: string | null;

  @Field(() => [ID], { nullable: true, description: "1 to 16 pools that no other remote access has." })
  poolIds?: string[] | null;

  @Field(() => [RemoteAccessMethod], { nullable: true, description: "How people may prove who they are." })
  methods?: RemoteAccessMethod[] | null;

  @Field(() => [String], { nullable: true, description: `${NETWORKS} At most 64.` })
  networks?: string[] | null;

  @Field(() => [String], { nullable: true, description: DNS })
  dns?: string[] | null;

  @Field(() => [String], { nullable: true, description: SPLIT_DNS })
  splitDns?: string[] | null;

  @Field(() => [RemoteAccessGroupInput], { nullable: true, description: "Who gets in; empty: everybody." })
  groups?: RemoteAccessGroupInput[] | null;

  @Field(() => [RemoteAccessPersonInput], { nullable: true, description: "What is different for single persons." })
  people?: RemoteAccessPersonInput[] | null;

  @Field(() => [String], { nullable: true, description: "What gateways take for IKE; empty: the defaults." })
  ikeProposals?: string[] | null;

  @Field(() => [String], { nullable: true, description: "What gateways take for ESP; empty: the defaults." })
  espProposals?: string[] | null;

  @Field(() => [ID], { nullable: true, description: `${AUTHORITIES} At most 16.` })
  authorityIds?: string[] | null;

  @Field(() => Boolean, { nullable: true, description: STRICT })
  strictRevocation?: boolean | null;
}
