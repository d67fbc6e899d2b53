import { Module } from "@nestjs/common";
import { AuditModule } from "../audit/audit.module.js";
import { EventsModule } from "../events/events.module.js";
import { GatewaysModule } from "../gateways/gateways.module.js";
import { IntentsModule } from "../intents/intents.module.js";
import { MaintenanceModule } from "../maintenance/maintenance.module.js";
import { RolloutItemResolver, RolloutResolver } from "./rollout.resolver.js";
import { RolloutService } from "./rollout.service.js";
import { RolloutDriver } from "./rollout-driver.js";
import { RolloutPolicyService } from "./rollout-policy.service.js";
import { RolloutRollback } from "./rollout-rollback.js";
import { RolloutStartModule } from "./rollout-start.module.js";
import { StageWatch } from "./stage-watch.js";

@Module({
  imports: [AuditModule, EventsModule, GatewaysModule, IntentsModule, MaintenanceModule, RolloutStartModule],
  providers: [
    RolloutDriver,
    RolloutItemResolver,
    RolloutPolicyService,
    RolloutResolver,
    RolloutRollback,
    RolloutService,
    StageWatch,
  ],
})
export class RolloutsModule {}
