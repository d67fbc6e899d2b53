import { Inject } from "@nestjs/common";
import { Args, ID, Parent, Query, ResolveField, Resolver, Subscription } from "@nestjs/graphql";
import { Allow, Request, Tenant } from "../../platform/auth/allow.js";
import { type Message, WakeUpBus } from "../../platform/bus/bus.js";
import { wakeUps } from "../../platform/bus/stream.js";
import { listComplexity, PageArgs, pageComplexity } from "../../platform/graphql/connection.js";
import type { GraphQLRequestContext } from "../../platform/graphql/context.js";
import { subscription } from "../../platform/graphql/subscription.js";
import { checkUuid } from "../../platform/input.js";
import { LOG, type Log } from "../../platform/log/log.js";
import { present } from "../../platform/present.js";
import type { Tunnel } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { ExternalPeerService } from "../external-peers/external-peer.service.js";
import { ExternalPeerType } from "../external-peers/external-peer.types.js";
import { NetworkService } from "../networks/network.service.js";
import { NetworkType } from "../networks/network.types.js";
import { TunnelService } from "./tunnel.service.js";
import { TunnelConnection, TunnelEndType, TunnelFilterInput, TunnelType } from "./tunnel.types.js";

@Resolver(() => TunnelType)
export class TunnelResolver {
  constructor(
    private readonly service: TunnelService,
    private readonly networks: NetworkService,
    private readonly peers: ExternalPeerService,
    private readonly bus: WakeUpBus,
    @Inject(LOG) private readonly log: Log,
  ) {}

  @Query(() => TunnelConnection, {
    complexity: pageComplexity,
    description: "The organization's tunnels, oldest first.",
  })
  @Allow("fleet:read")
  tunnels(
    @Tenant() context: TenantContext,
    @Args() args: PageArgs,
    @Args("filter", { nullable: true, description: "Which tunnels." }) filter?: TunnelFilterInput,
  ) {
    return this.service.list(context, args, present(filter ?? {}));
  }

  @Query(() => TunnelType, { nullable: true, description: "One tunnel; null when there is none with this id." })
  @Allow("fleet:read")
  tunnel(@Tenant() context: TenantContext, @Args("id", { type: () => ID, description: "Which one." }) id: string) {
    return this.service.get(context, checkUuid(id, "id"));
  }

  @Subscription(() => TunnelType, {
    description:
      "A tunnel whenever one of its ends reports a change. After a gap in the connection to the bus, all of them.",
  })
  @Allow("fleet:read")
  tunnelChanged(
    @Tenant() context: TenantContext,
    @Request() request: GraphQLRequestContext,
    @Args("tunnelId", { type: () => ID, nullable: true, description: "Only this one." }) rawId?: string | null,
  ) {
    const only = rawId ? checkUuid(rawId, "tunnelId") : undefined;
    const { organizationId } = context;
    const news = wakeUps(
      this.bus,
      "tunnel",
      (m) => m.organizationId === organizationId && (only === undefined || m.tunnelId === only),
    );
    return subscription(news, this.#changes(context, request, only, news), this.log);
  }

  async *#changes(
    context: TenantContext,
    request: GraphQLRequestContext,
    only: string | undefined,
    news: AsyncGenerator<Message<"tunnel"> | undefined, void, undefined>,
  ) {
    for await (const message of news) {
      if (!(await request.stillValid())) return;
      const ids = message ? [message.tunnelId] : only ? [only] : await this.service.ids(context);
      for (const id of ids) {
        request.loaders.clear();
        const tunnel = await this.service.get(context, id);
        if (tunnel) yield { tunnelChanged: tunnel };
      }
    }
  }

  @ResolveField(() => [TunnelEndType], {
    complexity: listComplexity(2),
    description: "Our ends of it: two, or one with an external peer.",
  })
  ends(@Tenant() context: TenantContext, @Request() { loaders }: GraphQLRequestContext, @Parent() tunnel: Tunnel) {
    return loaders.loadMany(this, "ends", tunnel.id, (ids: readonly string[]) => this.service.ends(context, ids));
  }

  @ResolveField(() => NetworkType, {
    nullable: true,
    description: "The network it belongs to; null with an external peer.",
  })
  network(@Tenant() context: TenantContext, @Request() { loaders }: GraphQLRequestContext, @Parent() tunnel: Tunnel) {
    if (tunnel.networkId === null) return null;
    return loaders.load(this, "network", tunnel.networkId, (ids: readonly string[]) =>
      this.networks.byIds(context, ids),
    );
  }

  @ResolveField(() => ExternalPeerType, {
    nullable: true,
    description: "The external peer at the other end; null between our own gateways.",
  })
  externalPeer(
    @Tenant() context: TenantContext,
    @Request() { loaders }: GraphQLRequestContext,
    @Parent() tunnel: Tunnel,
  ) {
    if (tunnel.externalPeerId === null) return null;
    return loaders.load(this, "peer", tunnel.externalPeerId, (ids: readonly string[]) =>
      this.peers.byIds(context, ids),
    );
  }
}
