import { Field, ID, Int, ObjectType } from "@nestjs/graphql";
import { CounterScalar } from "../../platform/graphql/scalars.js";

@ObjectType("ChildSa", { description: "A CHILD SA: a pair of ESP or AH SAs, as one end reports it." })
export class ChildSaType {
  @Field(() => ID, { description: "Identifies this report of it." })
  id!: string;

  @Field({ description: "Its name in the intent." })
  name!: string;

  @Field({ description: "`esp` or `ah`." })
  protocol!: string;

  @Field({ description: "`tunnel` or `transport`." })
  mode!: string;

  @Field({ description: "SPI of what comes in, 8 hexadecimal digits." })
  inboundSpi!: string;

  @Field({ description: "SPI of what goes out, 8 hexadecimal digits." })
  outboundSpi!: string;

  @Field(() => [String], { description: "Traffic selectors of this side." })
  localSelectors!: string[];

  @Field(() => [String], { description: "Traffic selectors of the other side." })
  remoteSelectors!: string[];

  @Field({ description: "Negotiated algorithms." })
  proposal!: string;

  @Field({ description: "Whether ESP goes in UDP (RFC 3948)." })
  encapsulated!: boolean;

  @Field(() => CounterScalar, { description: "Octets that came in." })
  bytesIn!: bigint;

  @Field(() => CounterScalar, { description: "Octets that went out." })
  bytesOut!: bigint;

  @Field(() => CounterScalar, { description: "Packets that came in." })
  packetsIn!: bigint;

  @Field(() => CounterScalar, { description: "Packets that went out." })
  packetsOut!: bigint;

  @Field(() => CounterScalar, {
    description: "Packets that came in and were dropped: not authentic, replayed, or outside the selectors.",
  })
  errorsIn!: bigint;

  @Field(() => Date, { nullable: true, description: "When these counters were read; null: not yet." })
  countedAt!: Date | null;

  @Field(() => Date, { nullable: true, description: "When a packet came in last." })
  lastPacketInAt!: Date | null;

  @Field(() => Date, { nullable: true, description: "When it was established." })
  establishedAt!: Date | null;

  @Field(() => Date, { nullable: true, description: "When it will be rekeyed." })
  nextRekeyAt!: Date | null;

  @Field(() => Date, { nullable: true, description: "When it ends if it is not rekeyed." })
  expiresAt!: Date | null;
}

@ObjectType("IkeSa", { description: "An IKE SA, as one end reports it." })
export class IkeSaType {
  @Field(() => ID, { description: "Identifies this report of it." })
  id!: string;

  @Field({ description: "SPI of the original initiator, 16 hexadecimal digits: equal at both ends." })
  initiatorSpi!: string;

  @Field({ description: "SPI of the original responder, 16 hexadecimal digits: equal at both ends." })
  responderSpi!: string;

  @Field(() => Int, { description: "IKE version: 1 or 2." })
  version!: number;

  @Field({ description: "Whether this end is the original initiator." })
  initiator!: boolean;

  @Field({ description: "`connecting`, `established`, `rekeying` or `deleting`." })
  state!: string;

  @Field({ description: "This end's address and UDP port." })
  localEndpoint!: string;

  @Field({ description: "The other end's address and UDP port, as seen from here." })
  remoteEndpoint!: string;

  @Field({ description: "How this end names itself." })
  localIdentity!: string;

  @Field({ description: "How the other end proved to be named." })
  remoteIdentity!: string;

  @Field(() => String, {
    nullable: true,
    description:
      "Whom EAP has authenticated at this end, or whose certificate it is where the peer calls itself by the subject; null: see `remoteIdentity`.",
  })
  user!: string | null;

  @Field(() => [String], { description: "Virtual addresses that the other end gave to this one." })
  localVirtual!: string[];

  @Field(() => [String], { description: "Virtual addresses that this end gave to the other one." })
  remoteVirtual!: string[];

  @Field({ description: "Negotiated algorithms." })
  proposal!: string;

  @Field(() => String, {
    nullable: true,
    description:
      "What the other end proved itself by: the id of a pre-shared key, or the SHA-256 of a certificate; null: something else, or not known.",
  })
  keyId!: string | null;

  @Field({ description: "Whether a NAT stands before this end." })
  natLocal!: boolean;

  @Field({ description: "Whether a NAT stands before the other end." })
  natRemote!: boolean;

  @Field(() => Date, { nullable: true, description: "When it was established." })
  establishedAt!: Date | null;

  @Field(() => Date, { nullable: true, description: "When it will be rekeyed." })
  nextRekeyAt!: Date | null;

  @Field(() => Date, { nullable: true, description: "When the ends will authenticate each other anew." })
  nextReauthAt!: Date | null;
}
