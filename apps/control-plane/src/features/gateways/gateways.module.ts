import { Module } from "@nestjs/common";
import { AuditModule } from "../audit/audit.module.js";
import { CertificatesModule } from "../certificates/certificates.module.js";
import { EventsModule } from "../events/events.module.js";
import { IntentsModule } from "../intents/intents.module.js";
import { GatewayResolver } from "./gateway.resolver.js";
import { GatewayService } from "./gateway.service.js";
import { GatewayStore, PrismaGatewayStore } from "./gateway.store.js";

@Module({
  imports: [AuditModule, CertificatesModule, EventsModule, IntentsModule],
  providers: [GatewayService, GatewayResolver, { provide: GatewayStore, useClass: PrismaGatewayStore }],
  exports: [GatewayService],
})
export class GatewaysModule {}
