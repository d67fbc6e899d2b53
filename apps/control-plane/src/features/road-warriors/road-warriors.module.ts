import { Module } from "@nestjs/common";
import { AuditModule } from "../audit/audit.module.js";
import { IntentsModule } from "../intents/intents.module.js";
import { RevocationRegisterModule } from "../revocations/revocation-register.module.js";
import { GroupResolver } from "./group.resolver.js";
import { GroupService } from "./group.service.js";
import { GroupStore, PrismaGroupStore } from "./group.store.js";
import { RoadWarriorResolver } from "./road-warrior.resolver.js";
import { RoadWarriorService } from "./road-warrior.service.js";
import { PrismaRoadWarriorStore, RoadWarriorStore } from "./road-warrior.store.js";

@Module({
  imports: [AuditModule, IntentsModule, RevocationRegisterModule],
  providers: [
    GroupService,
    GroupResolver,
    RoadWarriorService,
    RoadWarriorResolver,
    { provide: GroupStore, useClass: PrismaGroupStore },
    { provide: RoadWarriorStore, useClass: PrismaRoadWarriorStore },
  ],
  exports: [GroupService, RoadWarriorService],
})
export class RoadWarriorsModule {}
