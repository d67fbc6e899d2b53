import { Injectable } from "@nestjs/common";
import type { Tx } from "../../platform/database/database.js";
import { Outbox } from "../../platform/outbox/outbox.js";
import type { AlertRule } from "../../platform/prisma/generated/client.js";
import type { Severity } from "../../platform/prisma/generated/enums.js";
import { DELIVER_ALERTS } from "./jobs.js";

const UP_TO: Readonly<Record<Severity, readonly Severity[]>> = {
  INFO: ["INFO"],
  WARNING: ["INFO", "WARNING"],
  ERROR: ["INFO", "WARNING", "ERROR"],
};

/** Decides who is told of a rule's alerts, in the transaction that changes them. */
@Injectable()
export class AlertNotifier {
  constructor(private readonly outbox: Outbox) {}

  /** Call it after the rule's alerts were settled. What is silenced, or taken on already, is not told; of what was not told, no end either. */
  async owe(tx: Tx, rule: AlertRule, now: Date): Promise<void> {
    if (rule.silencedUntil && rule.silencedUntil > now) return;
    const { organizationId, id: ruleId } = rule;
    const audible = { OR: [{ silencedUntil: null }, { silencedUntil: { lte: now } }] };
    const mine = { organizationId, ruleId };
    const { count: firing } = await tx.alert.updateMany({
      where: { ...mine, ...audible, state: "FIRING", toldAt: null, acknowledgedAt: null },
      data: { toldAt: now },
    });
    const resolved = await tx.alert.count({
      where: { ...mine, ...audible, state: "RESOLVED", resolvedAt: now, toldAt: { not: null } },
    });
    if (firing + resolved === 0) return;
    const webhooks = await tx.alertWebhook.findMany({
      where: { organizationId, minSeverity: { in: [...UP_TO[rule.severity]] } },
      select: { id: true },
    });
    for (const { id: webhookId } of webhooks) {
      const owed = { organizationId, webhookId, ruleId, at: now };
      if (firing > 0) await this.#owe(tx, { ...owed, state: "FIRING" });
      if (resolved > 0) await this.#owe(tx, { ...owed, state: "RESOLVED" });
    }
  }

  async #owe(
    tx: Tx,
    data: {
      readonly organizationId: string;
      readonly webhookId: string;
      readonly ruleId: string;
      readonly at: Date;
      readonly state: "FIRING" | "RESOLVED";
    },
  ): Promise<void> {
    const { id: deliveryId } = await tx.alertDelivery.create({ data, select: { id: true } });
    await this.outbox.add(tx, data.organizationId, DELIVER_ALERTS, { deliveryId });
  }
}
