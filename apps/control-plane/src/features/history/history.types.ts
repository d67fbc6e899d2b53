import { Field, Float, Int, ObjectType, registerEnumType } from "@nestjs/graphql";
import { CounterScalar } from "../../platform/graphql/scalars.js";
import { TunnelState } from "../../platform/prisma/generated/enums.js";
import type { HistoryResolution } from "./history.service.js";

export const HistoryResolutionName = { MINUTE: "MINUTE", FIVE_MINUTES: "FIVE_MINUTES", HOUR: "HOUR" } as const;
registerEnumType(HistoryResolutionName, {
  name: "HistoryResolution",
  description: "How long the time is that one point of a history tells of.",
  valuesMap: {
    MINUTE: { description: "Kept for two days, unless the installation says otherwise." },
    FIVE_MINUTES: {
      description: "Kept for 30 days, unless the installation says otherwise. Written some minutes later.",
    },
    HOUR: {
      description: "Kept for 400 days, unless the installation says otherwise. Written some minutes after the hour.",
    },
  },
});

const RATE = "null: nothing was counted.";

@ObjectType({ description: "How an end of a tunnel was for a while, and what went over it." })
export class HistoryPoint {
  @Field(() => Date, { description: "When that while began." })
  at!: Date;

  @Field(() => TunnelState, {
    nullable: true,
    description: "`UP`: all the time; `DEGRADED`: for a part of it, or in part; `DOWN`: never; null: not known.",
  })
  state!: TunnelState | null;

  @Field(() => Float, {
    nullable: true,
    description: "Share of the minutes of which the state is known when it was up, 0 to 1; null: not known.",
  })
  availability!: number | null;

  @Field(() => Int, { description: "How often it stopped being up." })
  drops!: number;

  @Field(() => CounterScalar, { description: "Octets that came in." })
  bytesIn!: bigint;

  @Field(() => CounterScalar, { description: "Octets that went out." })
  bytesOut!: bigint;

  @Field(() => CounterScalar, { description: "Packets that came in." })
  packetsIn!: bigint;

  @Field(() => CounterScalar, { description: "Packets that went out." })
  packetsOut!: bigint;

  @Field(() => CounterScalar, { description: "Packets that came in and were dropped." })
  errorsIn!: bigint;

  @Field(() => Float, { nullable: true, description: `Octets a second that came in; ${RATE}` })
  bytesInPerSecond!: number | null;

  @Field(() => Float, { nullable: true, description: `Octets a second that went out; ${RATE}` })
  bytesOutPerSecond!: number | null;

  @Field(() => Float, { nullable: true, description: `Packets a second that came in; ${RATE}` })
  packetsInPerSecond!: number | null;

  @Field(() => Float, { nullable: true, description: `Packets a second that went out; ${RATE}` })
  packetsOutPerSecond!: number | null;
}

@ObjectType({ description: "A tunnel's past." })
export class TunnelHistory {
  @Field(() => Date, { description: "When the first point begins." })
  from!: Date;

  @Field(() => Date, { description: "The end of what was asked for, or now." })
  to!: Date;

  @Field(() => HistoryResolutionName, { description: "Of its points." })
  resolution!: HistoryResolution;
}

@ObjectType({ description: "A tunnel's past as one of our gateways saw it." })
export class TunnelEndHistory {
  @Field(() => [HistoryPoint], {
    description: "Oldest first. There is none for a time when the gateway's agent was not connected.",
  })
  points!: HistoryPoint[];
}
