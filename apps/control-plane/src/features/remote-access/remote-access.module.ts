import { Module } from "@nestjs/common";
import { AddressPoolsModule } from "../address-pools/address-pools.module.js";
import { AuditModule } from "../audit/audit.module.js";
import { GatewaysModule } from "../gateways/gateways.module.js";
import { IntentsModule } from "../intents/intents.module.js";
import { RoadWarriorsModule } from "../road-warriors/road-warriors.module.js";
import { RemoteAccessResolver } from "./remote-access.resolver.js";
import { RemoteAccessService } from "./remote-access.service.js";
import { PrismaRemoteAccessStore, RemoteAccessStore } from "./remote-access.store.js";

@Module({
  imports: [AddressPoolsModule, AuditModule, GatewaysModule, IntentsModule, RoadWarriorsModule],
  providers: [
    RemoteAccessService,
    RemoteAccessResolver,
    { provide: RemoteAccessStore, useClass: PrismaRemoteAccessStore },
  ],
})
export class RemoteAccessModule {}
