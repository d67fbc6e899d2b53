import { Module } from "@nestjs/common";
import { AlertResolver } from "./alert.resolver.js";
import { AlertService } from "./alert.service.js";
import { AlertStore, PrismaAlertStore } from "./alert.store.js";
import { AlertRuleResolver } from "./alert-rule.resolver.js";
import { AlertRuleService } from "./alert-rule.service.js";
import { AlertEvaluator } from "./evaluator.js";

@Module({
  providers: [
    AlertEvaluator,
    AlertResolver,
    AlertRuleResolver,
    AlertRuleService,
    AlertService,
    { provide: AlertStore, useClass: PrismaAlertStore },
  ],
})
export class AlertsModule {}
