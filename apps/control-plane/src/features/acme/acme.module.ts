import { Module } from "@nestjs/common";
import { AgentsModule } from "../agents/agents.module.js";
import { AuditModule } from "../audit/audit.module.js";
import { DnsZonesModule } from "../dns-zones/dns-zones.module.js";
import { EventsModule } from "../events/events.module.js";
import { IntentsModule } from "../intents/intents.module.js";
import { MaintenanceModule } from "../maintenance/maintenance.module.js";
import { ReportedSas } from "../rotations/reported-sas.js";
import { AccountJob } from "./account.job.js";
import { AcmeAccountService } from "./account.service.js";
import { AcmeAccountResolver, AcmeCertificateResolver, AcmeOrderResolver } from "./acme.resolver.js";
import { AnnouncedKeys } from "./announced-keys.service.js";
import { AcmeCertificateService } from "./certificate.service.js";
import { OldKeys } from "./old-keys.service.js";
import { OrderJob } from "./order.job.js";
import { OrderSteps } from "./order-steps.js";
import { PinningPeers } from "./pinning-peers.js";
import { RenewalService } from "./renewal.service.js";
import { AcmeScheduler } from "./scheduler.js";

@Module({
  imports: [AgentsModule, AuditModule, DnsZonesModule, EventsModule, IntentsModule, MaintenanceModule],
  providers: [
    AccountJob,
    AcmeAccountResolver,
    AcmeAccountService,
    AcmeCertificateResolver,
    AcmeCertificateService,
    AcmeOrderResolver,
    AcmeScheduler,
    AnnouncedKeys,
    OldKeys,
    OrderJob,
    OrderSteps,
    PinningPeers,
    RenewalService,
    ReportedSas,
  ],
})
export class AcmeModule {}
