import { Module } from "@nestjs/common";
import { EventsModule } from "../events/events.module.js";
import { AlertResolver } from "./alert.resolver.js";
import { AlertService } from "./alert.service.js";
import { AlertStore, PrismaAlertStore } from "./alert.store.js";
import { AlertRuleResolver } from "./alert-rule.resolver.js";
import { AlertRuleService } from "./alert-rule.service.js";
import { DeliverJob } from "./deliver.job.js";
import { AlertEvaluator } from "./evaluator.js";
import { AlertNotifier } from "./notifier.js";
import { WebhookResolver } from "./webhook.resolver.js";
import { WebhookService } from "./webhook.service.js";

@Module({
  imports: [EventsModule],
  providers: [
    AlertEvaluator,
    AlertNotifier,
    AlertResolver,
    AlertRuleResolver,
    AlertRuleService,
    AlertService,
    DeliverJob,
    WebhookResolver,
    WebhookService,
    { provide: AlertStore, useClass: PrismaAlertStore },
  ],
})
export class AlertsModule {}
