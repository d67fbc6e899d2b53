import { Module } from "@nestjs/common";
import { CertificatesModule } from "../certificates/certificates.module.js";
import { EventsModule } from "../events/events.module.js";
import { RolloutStartModule } from "../rollouts/rollout-start.module.js";
import { SecretsModule } from "../secrets/secrets.module.js";
import { CompileJob } from "./compile.job.js";
import { FleetStore, PrismaFleetStore } from "./fleet.store.js";
import { HeldRevisions } from "./held-revisions.js";
import { IntentResolver } from "./intent.resolver.js";
import { IntentService } from "./intent.service.js";
import { Planner } from "./planner.js";
import { Prover } from "./prover.js";
import { PrismaRevisionStore, RevisionStore } from "./revision.store.js";
import { StoredIntentService } from "./stored-intent.service.js";

@Module({
  imports: [CertificatesModule, EventsModule, RolloutStartModule, SecretsModule],
  providers: [
    CompileJob,
    HeldRevisions,
    IntentResolver,
    Planner,
    Prover,
    StoredIntentService,
    { provide: IntentService, useExisting: StoredIntentService },
    { provide: FleetStore, useClass: PrismaFleetStore },
    { provide: RevisionStore, useClass: PrismaRevisionStore },
  ],
  exports: [FleetStore, HeldRevisions, IntentService, StoredIntentService, Planner],
})
export class IntentsModule {}
