import { Field, ID, InputType, Int, ObjectType, registerEnumType } from "@nestjs/graphql";
import { connectionType } from "../../platform/graphql/connection.js";
import { GatewayState } from "../../platform/prisma/generated/enums.js";

registerEnumType(GatewayState, {
  name: "GatewayState",
  description: "Where a gateway stands in its life.",
  valuesMap: {
    AWAITING_ENROLMENT: { description: "Its agent has not brought its token yet." },
    ENROLLED: { description: "Its agent has certificates." },
    RETIRED: { description: "Taken out of service." },
  },
});

@ObjectType("Gateway", { description: "A machine that keeps a site's tunnels." })
export class GatewayType {
  @Field(() => ID, { description: "Identifies the gateway." })
  id!: string;

  @Field({ description: "Unique in the organization." })
  name!: string;

  @Field({ description: "Its IKE identity (ID_FQDN) and the name in its certificate." })
  identity!: string;

  @Field(() => GatewayState, { description: "Where it stands in its life." })
  state!: GatewayState;

  @Field(() => String, {
    nullable: true,
    description: "Address or DNS name at which peers reach it; null: it calls them.",
  })
  host!: string | null;

  @Field(() => Int, { description: "UDP port of IKE." })
  ikePort!: number;

  @Field(() => Int, { description: "UDP port of IKE and ESP behind a NAT (RFC 3948)." })
  nattPort!: number;

  @Field(() => Date, { nullable: true, description: "When its agent brought its token last." })
  enrolledAt!: Date | null;

  @Field(() => Date, { nullable: true, description: "When its agent's stream was opened last." })
  connectedAt!: Date | null;

  @Field(() => Date, { nullable: true, description: "When its agent was heard last." })
  lastSeenAt!: Date | null;

  @Field(() => String, { nullable: true, description: "Version of its agent." })
  agentVersion!: string | null;

  @Field(() => String, { nullable: true, description: "What carries its packets: `xfrm` (the kernel) or `userspace`." })
  dataPlane!: string | null;

  @Field(() => Int, { nullable: true, description: "The revision that it runs, as far as is known." })
  ackedRevision!: number | null;

  @Field({ description: "When it was described." })
  createdAt!: Date;
}

@ObjectType("GatewayConnection", { description: "A page of gateways." })
export class GatewayConnection extends connectionType(GatewayType, "Gateway") {}

@InputType({
  description: "Which gateways. What is absent excludes nothing, except that retired ones come only when asked for.",
})
export class GatewayFilterInput {
  @Field(() => ID, { nullable: true, description: "Only of this site." })
  siteId?: string | null;

  @Field(() => GatewayState, { nullable: true, description: "Only in this state." })
  state?: GatewayState | null;
}

@InputType({ description: "A gateway to be made." })
export class NewGatewayInput {
  @Field(() => String, { nullable: true, description: "Unique in the organization; absent: the site's name." })
  name?: string | null;

  @Field(() => String, {
    nullable: true,
    description:
      "Address or DNS name at which peers reach it from outside; absent when it sits behind a NAT: then it calls.",
  })
  host?: string | null;

  @Field(() => Int, { defaultValue: 500, description: "UDP port of IKE." })
  ikePort!: number;

  @Field(() => Int, { defaultValue: 4500, description: "UDP port of IKE and ESP behind a NAT (RFC 3948)." })
  nattPort!: number;
}

@InputType({ description: "What changes of a gateway. What is absent stays." })
export class UpdateGatewayInput {
  @Field(() => ID, { description: "Which gateway." })
  id!: string;

  @Field(() => String, { nullable: true, description: "Unique in the organization. Its identity stays." })
  name?: string | null;

  @Field(() => String, {
    nullable: true,
    description: "Address or DNS name at which peers reach it; null: none from now on.",
  })
  host?: string | null;

  @Field(() => Int, { nullable: true, description: "UDP port of IKE." })
  ikePort?: number | null;

  @Field(() => Int, { nullable: true, description: "UDP port of IKE and ESP behind a NAT." })
  nattPort?: number | null;
}

@ObjectType({ description: "A step on the way from a description to packets that flow." })
export class OnboardingStep {
  @Field({ description: "`described`, `enrolled`, `connected`, `configured` or `tunnelUp`, in this order." })
  name!: string;

  @Field({ description: "Whether it is taken." })
  done!: boolean;

  @Field(() => Date, { nullable: true, description: "When it was taken." })
  at!: Date | null;
}

@ObjectType({ description: "How far a gateway's onboarding is." })
export class OnboardingProgress {
  @Field(() => GatewayType, { description: "Whose onboarding." })
  gateway!: GatewayType;

  @Field(() => [OnboardingStep], { description: "All five, in order." })
  steps!: OnboardingStep[];

  @Field({ description: "Whether all are taken." })
  complete!: boolean;
}
