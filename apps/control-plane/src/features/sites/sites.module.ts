import { Module } from "@nestjs/common";
import { AuditModule } from "../audit/audit.module.js";
import { EnrolmentModule } from "../enrolment/enrolment.module.js";
import { EventsModule } from "../events/events.module.js";
import { GatewaysModule } from "../gateways/gateways.module.js";
import { IntentsModule } from "../intents/intents.module.js";
import { MaintenanceModule } from "../maintenance/maintenance.module.js";
import { NetworksModule } from "../networks/networks.module.js";
import { GatewaySiteResolver, SiteResolver } from "./site.resolver.js";
import { SiteService } from "./site.service.js";
import { PrismaSiteStore, SiteStore } from "./site.store.js";

@Module({
  imports: [
    AuditModule,
    EnrolmentModule,
    EventsModule,
    GatewaysModule,
    IntentsModule,
    MaintenanceModule,
    NetworksModule,
  ],
  providers: [SiteService, SiteResolver, GatewaySiteResolver, { provide: SiteStore, useClass: PrismaSiteStore }],
})
export class SitesModule {}
