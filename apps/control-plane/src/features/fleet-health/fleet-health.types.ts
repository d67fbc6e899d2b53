import { Field, Float, Int, ObjectType } from "@nestjs/graphql";
import { AddressPoolType } from "../address-pools/address-pool.types.js";
import { TunnelType } from "../tunnels/tunnel.types.js";

@ObjectType({ description: "The fleet at a glance." })
export class FleetHealth {
  @Field(() => Int, { description: "All gateways but retired ones." })
  gateways!: number;

  @Field(() => Int, { description: "Gateways whose agent's stream is open." })
  gatewaysConnected!: number;

  @Field(() => Int, { description: "Gateways whose agent has not brought its token yet." })
  gatewaysAwaitingEnrolment!: number;

  @Field(() => Int, { description: "Tunnels in whatever state." })
  tunnels!: number;

  @Field(() => Int, { description: "Tunnels that are up at every managed end." })
  tunnelsUp!: number;

  @Field(() => Int, { description: "Tunnels that are up in part." })
  tunnelsDegraded!: number;

  @Field(() => Int, { description: "Tunnels that are being made." })
  tunnelsConnecting!: number;

  @Field(() => Int, { description: "Tunnels that are not up." })
  tunnelsDown!: number;

  @Field(() => Int, { description: "Tunnels that nobody reported on yet." })
  tunnelsPending!: number;

  @Field(() => Int, {
    description:
      "Tunnels that are also among the others, by what was reported last, but nobody knows how they are now: no agent of theirs is connected, and the last report is older than 45 s.",
  })
  tunnelsStale!: number;

  @Field(() => Int, { description: "Gateways whose newest revision their agent refused or went back from." })
  revisionsRefused!: number;

  @Field(() => Int, { description: "Gateways whose newest revision is not answered yet." })
  revisionsOpen!: number;
}

@ObjectType({ description: "A reason for which tunnels are not up." })
export class DownReason {
  @Field(() => String, { nullable: true, description: "Coded reason, `area/name`; null: no end has told one." })
  code!: string | null;

  @Field(() => Int, {
    description: "Tunnels with an end that told it last; one whose ends tell different ones counts for each.",
  })
  tunnels!: number;
}

@ObjectType({ description: "A tunnel that goes up and down." })
export class FlappingTunnel {
  @Field(() => TunnelType, { description: "Which one." })
  tunnel!: TunnelType;

  @Field(() => Int, { description: "How often its less steady end stopped being up in the last hour." })
  drops!: number;
}

@ObjectType({ description: "An address pool of which little is left." })
export class NearlyFullPool {
  @Field(() => AddressPoolType, { description: "Which one." })
  pool!: AddressPoolType;

  @Field(() => Int, { description: "Leases of it that are held." })
  held!: number;

  @Field(() => Float, { description: "Share of its addresses that are held, 0 to 1." })
  share!: number;
}
