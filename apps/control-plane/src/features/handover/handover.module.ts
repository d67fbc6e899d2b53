import { Module } from "@nestjs/common";
import { AuditModule } from "../audit/audit.module.js";
import { CertificatesModule } from "../certificates/certificates.module.js";
import { EventsModule } from "../events/events.module.js";
import { GatewaysModule } from "../gateways/gateways.module.js";
import { IntentsModule } from "../intents/intents.module.js";
import { RoadWarriorsModule } from "../road-warriors/road-warriors.module.js";
import { AccessService } from "./access.service.js";
import { Attempts } from "./attempts.js";
import { CollectService } from "./collect.service.js";
import { GuessAudit } from "./guess-audit.js";
import { HandoverController } from "./handover.controller.js";
import { HandoverResolver, StaleProfileResolver } from "./handover.resolver.js";
import { HandoverService } from "./handover.service.js";
import { HandoverStore, PrismaHandoverStore } from "./handover.store.js";
import { ProfileSigner } from "./profile-signer.js";
import { StaleProfilesService } from "./stale-profiles.service.js";
import { HandoverSweeper } from "./sweeper.js";

@Module({
  imports: [AuditModule, CertificatesModule, EventsModule, GatewaysModule, IntentsModule, RoadWarriorsModule],
  controllers: [HandoverController],
  providers: [
    AccessService,
    Attempts,
    CollectService,
    GuessAudit,
    HandoverResolver,
    HandoverService,
    HandoverSweeper,
    ProfileSigner,
    StaleProfileResolver,
    StaleProfilesService,
    { provide: HandoverStore, useClass: PrismaHandoverStore },
  ],
})
export class HandoverModule {}
