import { Module } from "@nestjs/common";
import { EventsModule } from "../events/events.module.js";
import { ExternalPeersModule } from "../external-peers/external-peers.module.js";
import { GatewaysModule } from "../gateways/gateways.module.js";
import { LeaseBookModule } from "../leases/lease-book.module.js";
import { NetworksModule } from "../networks/networks.module.js";
import { PrismaSaStore, SaStore } from "./sa.store.js";
import { SaQuota } from "./sa-quota.js";
import { StoredTunnelStateService } from "./stored-tunnel-state.service.js";
import { TunnelResolver } from "./tunnel.resolver.js";
import { TunnelService } from "./tunnel.service.js";
import { PrismaTunnelStore, TunnelStore } from "./tunnel.store.js";
import { IkeSaResolver, TunnelEndResolver } from "./tunnel-end.resolver.js";
import { TunnelStateService } from "./tunnel-state.service.js";
import { PrismaTunnelStateStore, TunnelStateStore } from "./tunnel-state.store.js";

@Module({
  imports: [EventsModule, ExternalPeersModule, GatewaysModule, LeaseBookModule, NetworksModule],
  providers: [
    TunnelService,
    TunnelResolver,
    TunnelEndResolver,
    IkeSaResolver,
    { provide: TunnelStore, useClass: PrismaTunnelStore },
    { provide: TunnelStateStore, useClass: PrismaTunnelStateStore },
    SaQuota,
    { provide: SaStore, useClass: PrismaSaStore },
    { provide: TunnelStateService, useClass: StoredTunnelStateService },
  ],
  exports: [TunnelService, TunnelStateService],
})
export class TunnelsModule {}
