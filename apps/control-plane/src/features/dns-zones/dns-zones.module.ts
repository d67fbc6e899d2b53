import { Module } from "@nestjs/common";
import { AuditModule } from "../audit/audit.module.js";
import { EventsModule } from "../events/events.module.js";
import { DnsRecordService } from "./dns-record.service.js";
import { DnsZoneResolver } from "./dns-zone.resolver.js";
import { DnsZoneService } from "./dns-zone.service.js";
import { RecordJob } from "./record.job.js";

@Module({
  imports: [AuditModule, EventsModule],
  providers: [DnsRecordService, DnsZoneResolver, DnsZoneService, RecordJob],
  exports: [DnsRecordService, DnsZoneService],
})
export class DnsZonesModule {}
