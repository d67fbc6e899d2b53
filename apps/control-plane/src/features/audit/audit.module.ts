import { Global, Module } from "@nestjs/common";
import { APP_INTERCEPTOR } from "@nestjs/core";
import { RefusalAudit } from "../../platform/auth/refusal-audit.js";
import { AuditResolver } from "./audit.resolver.js";
import { AuditService } from "./audit.service.js";
import { AuditStore, PrismaAuditStore } from "./audit.store.js";
import { RefusedMutations } from "./refused-mutations.js";

/** Global for the guard of the platform, which asks for `RefusalAudit`. */
@Global()
@Module({
  providers: [
    AuditService,
    AuditResolver,
    { provide: AuditStore, useClass: PrismaAuditStore },
    RefusedMutations,
    { provide: APP_INTERCEPTOR, useExisting: RefusedMutations },
    { provide: RefusalAudit, useExisting: RefusedMutations },
  ],
  exports: [AuditService, RefusalAudit],
})
export class AuditModule {}
