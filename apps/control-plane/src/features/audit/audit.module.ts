import { Module } from "@nestjs/common";
import { APP_INTERCEPTOR } from "@nestjs/core";
import { AuditResolver } from "./audit.resolver.js";
import { AuditService } from "./audit.service.js";
import { AuditStore, PrismaAuditStore } from "./audit.store.js";
import { RefusedMutations } from "./refused-mutations.js";

@Module({
  providers: [
    AuditService,
    AuditResolver,
    { provide: AuditStore, useClass: PrismaAuditStore },
    { provide: APP_INTERCEPTOR, useClass: RefusedMutations },
  ],
  exports: [AuditService],
})
export class AuditModule {}
