import { Module } from "@nestjs/common";
import { AgentsModule } from "../agents/agents.module.js";
import { AuditModule } from "../audit/audit.module.js";
import { CertificatesModule } from "../certificates/certificates.module.js";
import { EventsModule } from "../events/events.module.js";
import { IntentsModule } from "../intents/intents.module.js";
import { SecretsModule } from "../secrets/secrets.module.js";
import { AgentCertificateSaga } from "./agent-certificate.saga.js";
import { GatewayCertificateSaga } from "./gateway-certificate.saga.js";
import { GatewayCertificateRotations } from "./gateway-certificates.service.js";
import { IntentWatch } from "./intent-watch.js";
import { PreSharedKeySaga } from "./pre-shared-key.saga.js";
import { PreSharedKeyRotations } from "./pre-shared-keys.service.js";
import { ReportedSas } from "./reported-sas.js";
import { RotationResolver } from "./rotation.resolver.js";
import { RotationService } from "./rotation.service.js";
import { RotationStore } from "./rotation.store.js";
import { RotationDriver } from "./rotation-driver.js";
import { Sagas } from "./sagas.js";
import { WaitingCertificates } from "./waiting-certificates.js";

@Module({
  imports: [AgentsModule, AuditModule, CertificatesModule, EventsModule, IntentsModule, SecretsModule],
  providers: [
    AgentCertificateSaga,
    GatewayCertificateRotations,
    GatewayCertificateSaga,
    IntentWatch,
    PreSharedKeyRotations,
    PreSharedKeySaga,
    ReportedSas,
    RotationDriver,
    RotationResolver,
    RotationService,
    RotationStore,
    Sagas,
    WaitingCertificates,
  ],
})
export class RotationsModule {}
