import { Field, ID, InputType, ObjectType, registerEnumType } from "@nestjs/graphql";
import { connectionType } from "../../platform/graphql/connection.js";
import { TunnelState } from "../../platform/prisma/generated/enums.js";

registerEnumType(TunnelState, {
  name: "TunnelState",
  description: "Whether packets get through.",
  valuesMap: {
    PENDING: { description: "No end has reported yet." },
    CONNECTING: { description: "An IKE SA is being made." },
    UP: { description: "Every managed end has its IKE SA and all CHILD SAs." },
    DEGRADED: { description: "Some ends or some CHILD SAs are up, others are not." },
    DOWN: { description: "Nothing is up." },
  },
});

@ObjectType({ description: "Why an end of a tunnel is not up, or was not last." })
export class TunnelError {
  @Field({ description: "Coded reason, `area/name`." })
  code!: string;

  @Field({ description: "For people." })
  message!: string;

  @Field(() => String, { nullable: true, description: "What this end wanted." })
  ours!: string | null;

  @Field(() => String, { nullable: true, description: "What the other end wanted, where that is known." })
  theirs!: string | null;

  @Field(() => String, { nullable: true, description: "In which exchange it failed, e.g. `IKE_SA_INIT`." })
  exchange!: string | null;

  @Field(() => Date, { nullable: true, description: "When." })
  at!: Date | null;
}

@ObjectType("TunnelEnd", { description: "A tunnel as one of our gateways sees it." })
export class TunnelEndType {
  @Field(() => ID, { description: "Identifies the end." })
  id!: string;

  @Field(() => TunnelState, { description: "As this gateway reported it." })
  state!: TunnelState;

  @Field(() => Date, { nullable: true, description: "When this end changed its state, by the gateway's clock." })
  changedAt!: Date | null;

  @Field(() => Date, { nullable: true, description: "When this gateway reported last; null: never." })
  reportedAt!: Date | null;
}

@ObjectType("Tunnel", { description: "What two gateways, or a gateway and an external peer, keep between them." })
export class TunnelType {
  @Field(() => ID, { description: "Identifies the tunnel." })
  id!: string;

  @Field({ description: "Id of the connection in both ends' intents." })
  key!: string;

  @Field({ description: "Names both sides." })
  name!: string;

  @Field(() => TunnelState, { description: "What the reports of all its ends amount to." })
  state!: TunnelState;

  @Field({ description: "Since when it is in this state." })
  stateSince!: Date;
}

@ObjectType("TunnelConnection", { description: "A page of tunnels." })
export class TunnelConnection extends connectionType(TunnelType, "Tunnel") {}

@InputType({ description: "Which tunnels. What is absent excludes nothing." })
export class TunnelFilterInput {
  @Field(() => TunnelState, { nullable: true, description: "Only in this state." })
  state?: TunnelState | null;

  @Field(() => ID, { nullable: true, description: "Only with this gateway at one end." })
  gatewayId?: string | null;

  @Field(() => ID, { nullable: true, description: "Only of this network." })
  networkId?: string | null;

  @Field(() => ID, { nullable: true, description: "Only with this external peer." })
  externalPeerId?: string | null;
}
