import { Field, ID, InputType, ObjectType, registerEnumType } from "@nestjs/graphql";
import { connectionType } from "../../platform/graphql/connection.js";
import { NetworkAuthentication, Topology } from "../../platform/prisma/generated/enums.js";

registerEnumType(Topology, {
  name: "Topology",
  description: "Who has tunnels with whom.",
  valuesMap: { HUB_AND_SPOKE: { description: "Every spoke with every hub, and the hubs with each other." } },
});

registerEnumType(NetworkAuthentication, {
  name: "NetworkAuthentication",
  description: "How the gateways of a network prove themselves to each other.",
  valuesMap: {
    CERTIFICATE: { description: "By certificates of the built-in CA." },
    PRE_SHARED_KEY: {
      description:
        "By a pre-shared key of 256 random bits, another one for every tunnel; `rotatePreSharedKeys` replaces them.",
    },
    PUBLIC_CERTIFICATE: {
      description:
        "A gateway that has a certificate of a public authority (`requestAcmeCertificate`) proves itself by that, and the others take no other one from it; the rest as with CERTIFICATE. When it is renewed, they take the new key before the gateway uses it, and the old one no longer than they need it.",
    },
  },
});

@ObjectType("Network", { description: "Sites that reach each other through tunnels." })
export class NetworkType {
  @Field(() => ID, { description: "Identifies the network." })
  id!: string;

  @Field({ description: "Unique in the organization." })
  name!: string;

  @Field(() => Topology, { description: "Who has tunnels with whom." })
  topology!: Topology;

  @Field(() => NetworkAuthentication, { description: "How its gateways prove themselves to each other." })
  authentication!: NetworkAuthentication;

  @Field(() => [String], { description: "What its gateways offer each other for IKE; empty: the defaults." })
  ikeProposals!: string[];

  @Field(() => [String], { description: "What its gateways offer each other for ESP; empty: the defaults." })
  espProposals!: string[];

  @Field({ description: "When it was made." })
  createdAt!: Date;
}

@ObjectType("NetworkConnection", { description: "A page of networks." })
export class NetworkConnection extends connectionType(NetworkType, "Network") {}

@InputType({ description: "A hub and spoke network to be made." })
export class CreateNetworkInput {
  @Field({ description: "Unique in the organization, 1 to 63 characters." })
  name!: string;

  @Field(() => [ID], { description: "1 to 8 gateways, the preferred one first." })
  hubGatewayIds!: string[];

  @Field(() => [ID], { defaultValue: [], description: "Gateways that are there already; `onboardSite` adds new ones." })
  spokeGatewayIds!: string[];

  @Field(() => NetworkAuthentication, {
    defaultValue: NetworkAuthentication.CERTIFICATE,
    description: "How its gateways prove themselves to each other.",
  })
  authentication!: NetworkAuthentication;

  @Field(() => [String], { defaultValue: [], description: "E.g. `aes256gcm16-prfsha384-x25519`; empty: the defaults." })
  ikeProposals!: string[];

  @Field(() => [String], {
    defaultValue: [],
    description: "E.g. `aes256gcm16-x25519`; a group asks for PFS. Empty: the defaults.",
  })
  espProposals!: string[];
}
