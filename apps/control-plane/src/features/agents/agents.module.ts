import { Module } from "@nestjs/common";
import { AuditModule } from "../audit/audit.module.js";
import { CertificatesModule } from "../certificates/certificates.module.js";
import { EnrolmentModule } from "../enrolment/enrolment.module.js";
import { EventsModule } from "../events/events.module.js";
import { IntentsModule } from "../intents/intents.module.js";
import { RevocationRegisterModule } from "../revocations/revocation-register.module.js";
import { TunnelsModule } from "../tunnels/tunnels.module.js";
import { AgentCommands } from "./agent-commands.service.js";
import { AgentPeerService } from "./agent-peer.service.js";
import { AgentServer } from "./agent-server.js";
import { AgentSessions } from "./agent-sessions.js";
import { ReportIngest } from "./report-ingest.js";
import { PrismaSessionStore, SessionStore } from "./session.store.js";
import { TunnelCommandResolver } from "./tunnel-command.resolver.js";
import { TunnelCommands } from "./tunnel-commands.service.js";

@Module({
  imports: [
    AuditModule,
    CertificatesModule,
    EnrolmentModule,
    EventsModule,
    IntentsModule,
    RevocationRegisterModule,
    TunnelsModule,
  ],
  providers: [
    AgentCommands,
    AgentPeerService,
    AgentServer,
    AgentSessions,
    ReportIngest,
    TunnelCommands,
    TunnelCommandResolver,
    { provide: SessionStore, useClass: PrismaSessionStore },
  ],
  exports: [AgentCommands, AgentServer],
})
export class AgentsModule {}
