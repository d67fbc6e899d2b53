import { Field, ID, InputType, Int, ObjectType } from "@nestjs/graphql";
import { connectionType } from "../../platform/graphql/connection.js";

@ObjectType("ExternalPeer", { description: "A gateway of somebody else's, with which one of ours has a tunnel." })
export class ExternalPeerType {
  @Field(() => ID, { description: "Identifies the peer." })
  id!: string;

  @Field({ description: "Unique in the organization." })
  name!: string;

  @Field(() => String, { nullable: true, description: "Address or DNS name; null: it calls us, from anywhere." })
  host!: string | null;

  @Field(() => Int, { description: "Its UDP port of IKE." })
  ikePort!: number;

  @Field(() => Int, { description: "Its UDP port of IKE and ESP behind a NAT." })
  nattPort!: number;

  @Field({ description: "How it names itself, as `type:value`." })
  remoteIdentity!: string;

  @Field(() => String, {
    nullable: true,
    description: "How we name ourselves, as `type:value`; null: the gateway's own identity.",
  })
  localIdentity!: string | null;

  @Field(() => [String], { description: "What we offer for IKE; empty: the defaults." })
  ikeProposals!: string[];

  @Field(() => [String], { description: "What we offer for ESP; empty: the defaults." })
  espProposals!: string[];

  @Field(() => [String], { description: "What its operator says it accepts for IKE; empty: not known." })
  declaredIkeProposals!: string[];

  @Field(() => [String], { description: "What its operator says it accepts for ESP; empty: not known." })
  declaredEspProposals!: string[];

  @Field({ description: "When it was added." })
  createdAt!: Date;
}

@ObjectType("ExternalPeerConnection", { description: "A page of external peers." })
export class ExternalPeerConnection extends connectionType(ExternalPeerType, "ExternalPeer") {}

@InputType({ description: "A gateway of somebody else's to have a tunnel with." })
export class AddExternalPeerInput {
  @Field({ description: "Unique in the organization, 1 to 63 characters." })
  name!: string;

  @Field(() => ID, { description: "Our gateway that keeps the tunnel." })
  gatewayId!: string;

  @Field(() => String, { nullable: true, description: "Address or DNS name; absent: it calls us, from anywhere." })
  host?: string | null;

  @Field(() => Int, { defaultValue: 500, description: "Its UDP port of IKE." })
  ikePort!: number;

  @Field(() => Int, { defaultValue: 4500, description: "Its UDP port of IKE and ESP behind a NAT." })
  nattPort!: number;

  @Field({ description: "8 to 1,024 characters, or octets as hex after `0x`. It is stored sealed and shown nowhere." })
  preSharedKey!: string;

  @Field(() => String, {
    nullable: true,
    description:
      "How it names itself: an address, a DNS name (or `@name`), a mailbox, else a key id. Absent: its host.",
  })
  remoteIdentity?: string | null;

  @Field(() => String, {
    nullable: true,
    description: "How we name ourselves to it. Absent: the gateway's own identity.",
  })
  localIdentity?: string | null;

  @Field(() => [String], { description: "Prefixes behind it. None overlaps another of the organization." })
  subnets!: string[];

  @Field(() => [String], {
    defaultValue: [],
    description: "What we offer for IKE, e.g. `aes256gcm16-prfsha384-x25519`; empty: the defaults.",
  })
  ikeProposals!: string[];

  @Field(() => [String], {
    defaultValue: [],
    description: "What we offer for ESP, e.g. `aes256gcm16-x25519`; empty: the defaults.",
  })
  espProposals!: string[];

  @Field(() => [String], {
    defaultValue: [],
    description:
      "What its operator says it accepts for IKE: a tunnel that would not come up is refused now. Empty: not known.",
  })
  peerIkeProposals!: string[];

  @Field(() => [String], {
    defaultValue: [],
    description:
      "What its operator says it accepts for ESP: a tunnel that would not come up is refused now. Empty: not known.",
  })
  peerEspProposals!: string[];
}
