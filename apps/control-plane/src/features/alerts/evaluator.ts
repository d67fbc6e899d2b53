import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from "@nestjs/common";
import { WakeUpBus } from "../../platform/bus/bus.js";
import { CONFIG, type Config } from "../../platform/config/config.js";
import { Database } from "../../platform/database/database.js";
import { LOG, type Log } from "../../platform/log/log.js";
import { Outbox } from "../../platform/outbox/outbox.js";
import { Periodic } from "../../platform/periodic.js";
import type { AlertRule } from "../../platform/prisma/generated/client.js";
import { AlertStore } from "./alert.store.js";
import { KINDS } from "./kinds.js";
import { AlertNotifier } from "./notifier.js";

const EVERY_MS = 15_000;

/** Compares what is stored of the fleet with the rules, again and again. Replicas share the work rule by rule. */
@Injectable()
export class AlertEvaluator implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #periodic: Periodic;

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOG) private readonly log: Log,
    private readonly database: Database,
    private readonly store: AlertStore,
    private readonly notifier: AlertNotifier,
    private readonly outbox: Outbox,
    private readonly bus: WakeUpBus,
  ) {
    this.#periodic = new Periodic(() => this.tick(new Date()), log);
  }

  onApplicationBootstrap(): void {
    if (this.config.roles.has("jobs")) this.#periodic.start(EVERY_MS, EVERY_MS);
  }

  onApplicationShutdown(): Promise<void> {
    return this.#periodic.stop();
  }

  async tick(now: Date): Promise<void> {
    const changed = new Set<string>();
    for (const rule of await this.store.allRules()) {
      if (this.#periodic.stopped) break;
      try {
        if ((await this.#evaluate(rule, now)) > 0) changed.add(rule.organizationId);
      } catch (err) {
        this.log.warn({ err, ruleId: rule.id }, "a rule for alerts could not be evaluated; it will be tried again");
      }
    }
    if (changed.size > 0) this.outbox.wake();
    for (const organizationId of changed) await this.bus.publish("alerts", { organizationId, since: now.getTime() });
  }

  #evaluate(rule: AlertRule, now: Date): Promise<number> {
    return this.database.transaction(async (tx) => {
      const [row] = await tx.$queryRaw<{ alone: boolean }[]>`
        SELECT pg_try_advisory_xact_lock(hashtextextended(${`alert-rule/${rule.id}`}, 0)) AS alone`;
      if (row?.alone !== true) return 0;
      const kind = KINDS[rule.kind];
      const threshold = rule.threshold ?? kind.threshold?.usual ?? 0;
      const present = await kind.present(tx, rule.organizationId, threshold, now);
      const changed = await this.store.settle(tx, rule, present, now);
      await this.notifier.owe(tx, rule, now);
      return changed;
    });
  }
}
