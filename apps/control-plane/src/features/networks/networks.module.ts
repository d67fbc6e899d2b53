import { Module } from "@nestjs/common";
import { AuditModule } from "../audit/audit.module.js";
import { GatewaysModule } from "../gateways/gateways.module.js";
import { IntentsModule } from "../intents/intents.module.js";
import { NetworkResolver } from "./network.resolver.js";
import { NetworkService } from "./network.service.js";
import { NetworkStore, PrismaNetworkStore } from "./network.store.js";

@Module({
  imports: [AuditModule, GatewaysModule, IntentsModule],
  providers: [NetworkService, NetworkResolver, { provide: NetworkStore, useClass: PrismaNetworkStore }],
  exports: [NetworkService],
})
export class NetworksModule {}
