import { Module } from "@nestjs/common";
import { AuditModule } from "../audit/audit.module.js";
import { CertificatesModule } from "../certificates/certificates.module.js";
import { EventsModule } from "../events/events.module.js";
import { IntentsModule } from "../intents/intents.module.js";
import { AgentEndpoints } from "./agent-endpoints.js";
import { EnrolmentResolver } from "./enrolment.resolver.js";
import { EnrolmentService } from "./enrolment.service.js";
import { TokenEnrolmentService } from "./token-enrolment.service.js";

@Module({
  imports: [AuditModule, CertificatesModule, EventsModule, IntentsModule],
  providers: [AgentEndpoints, EnrolmentResolver, { provide: EnrolmentService, useClass: TokenEnrolmentService }],
  exports: [AgentEndpoints, EnrolmentService],
})
export class EnrolmentModule {}
