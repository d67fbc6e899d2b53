import { Global, Module } from "@nestjs/common";
import { Authenticator } from "../../platform/auth/authenticator.js";
import { AuditModule } from "../audit/audit.module.js";
import { FirstStart } from "./first-start.js";
import { OperatorResolver } from "./operator.resolver.js";
import { OperatorService } from "./operator.service.js";
import { OperatorStore, PrismaOperatorStore } from "./operator.store.js";
import { TokenAuthenticator } from "./token-authenticator.js";

/** Global, since whoever answers requests has to know who asks. */
@Global()
@Module({
  imports: [AuditModule],
  providers: [
    OperatorService,
    OperatorResolver,
    FirstStart,
    { provide: OperatorStore, useClass: PrismaOperatorStore },
    { provide: Authenticator, useClass: TokenAuthenticator },
  ],
  exports: [Authenticator, FirstStart],
})
export class OperatorsModule {}
