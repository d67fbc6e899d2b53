import { Module } from "@nestjs/common";
import { AuditResolver } from "./audit.resolver.js";
import { AuditService } from "./audit.service.js";
import { AuditStore, PrismaAuditStore } from "./audit.store.js";

@Module({
  providers: [AuditService, AuditResolver, { provide: AuditStore, useClass: PrismaAuditStore }],
  exports: [AuditService],
})
export class AuditModule {}
