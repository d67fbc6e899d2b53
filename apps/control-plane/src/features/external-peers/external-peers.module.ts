import { Module } from "@nestjs/common";
import { AuditModule } from "../audit/audit.module.js";
import { EventsModule } from "../events/events.module.js";
import { GatewaysModule } from "../gateways/gateways.module.js";
import { IntentsModule } from "../intents/intents.module.js";
import { SecretsModule } from "../secrets/secrets.module.js";
import { ExternalPeerResolver } from "./external-peer.resolver.js";
import { ExternalPeerService } from "./external-peer.service.js";
import { ExternalPeerStore, PrismaExternalPeerStore } from "./external-peer.store.js";

@Module({
  imports: [AuditModule, EventsModule, GatewaysModule, IntentsModule, SecretsModule],
  providers: [
    ExternalPeerService,
    ExternalPeerResolver,
    { provide: ExternalPeerStore, useClass: PrismaExternalPeerStore },
  ],
  exports: [ExternalPeerService],
})
export class ExternalPeersModule {}
