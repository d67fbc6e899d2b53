import { Module } from "@nestjs/common";
import { AgentsModule } from "../agents/agents.module.js";
import { AuditModule } from "../audit/audit.module.js";
import { EventsModule } from "../events/events.module.js";
import { IntentsModule } from "../intents/intents.module.js";
import { SecretsModule } from "../secrets/secrets.module.js";
import { PreSharedKeySaga } from "./pre-shared-key.saga.js";
import { PreSharedKeyRotations } from "./pre-shared-keys.service.js";
import { RotationResolver } from "./rotation.resolver.js";
import { RotationService } from "./rotation.service.js";
import { RotationStore } from "./rotation.store.js";
import { RotationDriver } from "./rotation-driver.js";
import { Sagas } from "./sagas.js";

@Module({
  imports: [AgentsModule, AuditModule, EventsModule, IntentsModule, SecretsModule],
  providers: [
    PreSharedKeyRotations,
    PreSharedKeySaga,
    RotationDriver,
    RotationResolver,
    RotationService,
    RotationStore,
    Sagas,
  ],
})
export class RotationsModule {}
