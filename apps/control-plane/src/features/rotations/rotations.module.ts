import { Module } from "@nestjs/common";
import { AgentsModule } from "../agents/agents.module.js";
import { AuditModule } from "../audit/audit.module.js";
import { CertificatesModule } from "../certificates/certificates.module.js";
import { EventsModule } from "../events/events.module.js";
import { IntentsModule } from "../intents/intents.module.js";
import { MaintenanceModule } from "../maintenance/maintenance.module.js";
import { ResealingModule } from "../master-key/resealing.module.js";
import { SecretsModule } from "../secrets/secrets.module.js";
import { AgentCertificateSaga } from "./agent-certificate.saga.js";
import { AuthorityRotations } from "./authorities.service.js";
import { GatewayCertificateSaga } from "./gateway-certificate.saga.js";
import { GatewayCertificateRotations } from "./gateway-certificates.service.js";
import { IntentWatch } from "./intent-watch.js";
import { IssuingAuthoritySaga } from "./issuing-authority.saga.js";
import { MasterKeySaga } from "./master-key.saga.js";
import { MasterKeyRotations } from "./master-key.service.js";
import { PreSharedKeySaga } from "./pre-shared-key.saga.js";
import { PreSharedKeyRotations } from "./pre-shared-keys.service.js";
import { Reissue } from "./reissue.js";
import { ReportedSas } from "./reported-sas.js";
import { RootAuthoritySaga } from "./root-authority.saga.js";
import { Rotatables } from "./rotatables.js";
import { RotationResolver } from "./rotation.resolver.js";
import { RotationService } from "./rotation.service.js";
import { RotationStore } from "./rotation.store.js";
import { RotationDriver } from "./rotation-driver.js";
import { RotationItemResolver } from "./rotation-item.resolver.js";
import { RotationScheduleResolver } from "./rotation-schedule.resolver.js";
import { RotationScheduleService } from "./rotation-schedule.service.js";
import { RotationScheduler } from "./rotation-scheduler.js";
import { RotationStarter } from "./rotation-starter.js";
import { Sagas } from "./sagas.js";
import { WaitingAuthorities } from "./waiting-authorities.js";
import { WaitingCertificates } from "./waiting-certificates.js";

@Module({
  imports: [
    AgentsModule,
    AuditModule,
    CertificatesModule,
    EventsModule,
    IntentsModule,
    MaintenanceModule,
    ResealingModule,
    SecretsModule,
  ],
  providers: [
    AgentCertificateSaga,
    GatewayCertificateRotations,
    GatewayCertificateSaga,
    IntentWatch,
    IssuingAuthoritySaga,
    Reissue,
    RootAuthoritySaga,
    AuthorityRotations,
    MasterKeyRotations,
    MasterKeySaga,
    PreSharedKeyRotations,
    PreSharedKeySaga,
    ReportedSas,
    RotationDriver,
    RotationResolver,
    RotationService,
    Rotatables,
    RotationItemResolver,
    RotationScheduler,
    RotationScheduleResolver,
    RotationScheduleService,
    RotationStarter,
    RotationStore,
    Sagas,
    WaitingAuthorities,
    WaitingCertificates,
  ],
  exports: [MasterKeyRotations],
})
export class RotationsModule {}
