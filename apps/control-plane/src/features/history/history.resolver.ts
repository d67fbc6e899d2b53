import { Args, Parent, ResolveField, Resolver } from "@nestjs/graphql";
import { Tenant } from "../../platform/auth/allow.js";
import type { Tunnel } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { TunnelEndType, TunnelType } from "../tunnels/tunnel.types.js";
import { type HistoryResolution, HistoryService, MAX_POINTS } from "./history.service.js";
import { HistoryResolutionName, TunnelEndHistory, TunnelHistory } from "./history.types.js";

/** Points of an ordinary history, of both ends. Of a page of tunnels there is none to be had. */
const TYPICAL_POINTS = 1_000;

@Resolver(() => TunnelType)
export class TunnelHistoryResolver {
  constructor(private readonly service: HistoryService) {}

  @ResolveField(() => TunnelHistory, {
    complexity: ({ childComplexity }) => TYPICAL_POINTS + TYPICAL_POINTS * childComplexity,
    description: `How it was, and what went over it: at most ${MAX_POINTS} points at each end.`,
  })
  history(
    @Tenant() context: TenantContext,
    @Parent() tunnel: Tunnel,
    @Args("from", { type: () => Date, description: "From when on." }) from: Date,
    @Args("to", { type: () => Date, nullable: true, description: "Until when; absent: now." }) to?: Date | null,
    @Args("resolution", {
      type: () => HistoryResolutionName,
      nullable: true,
      description:
        "Absent: the finest that is kept for so long and has at most 500 points at each end, else the coarsest.",
    })
    resolution?: HistoryResolution | null,
  ) {
    return this.service.ofTunnel(context, tunnel.id, { from, to, resolution });
  }
}

@Resolver(() => TunnelHistory)
export class TunnelHistoryEndsResolver {
  @ResolveField(() => [TunnelEndHistory], { description: "Of our ends: two, or one with an external peer." })
  ends(@Parent() history: { readonly ends: TunnelEndHistory[] }) {
    return history.ends;
  }
}

@Resolver(() => TunnelEndHistory)
export class TunnelEndHistoryResolver {
  @ResolveField(() => TunnelEndType, { description: "Whose past it is." })
  end(@Parent() history: { readonly end: TunnelEndType }) {
    return history.end;
  }
}
