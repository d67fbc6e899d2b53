import { Inject, Injectable, type OnModuleInit } from "@nestjs/common";
import { CONFIG, type Config } from "../../platform/config/config.js";
import { Database } from "../../platform/database/database.js";
import type { JobContext, JobRunner } from "../../platform/outbox/job.js";
import { Jobs } from "../../platform/outbox/jobs.js";
import { Outbox } from "../../platform/outbox/outbox.js";
import type { Prisma } from "../../platform/prisma/generated/client.js";
import { Vault } from "../../platform/vault/vault.js";
import { EventService } from "../events/event.service.js";
import { DELIVER_ALERTS, type DeliverAlerts } from "./jobs.js";
import { postWebhook, type WebhookAccess, webhookPlace } from "./webhook.js";

type Delivery = Prisma.AlertDeliveryGetPayload<{ include: { webhook: true; rule: true; organization: true } }>;

/** Alerts that one message names; how many there are it says all the same. */
const MAX_NAMED = 100;
/** Pause after the first attempt that failed; it doubles, up to the most. */
const RETRY_MS = { first: 5_000, most: 1_800_000 } as const;
/** It is tried for so long. */
const GIVE_UP_MS = 86_400_000;

/** When the next attempt is due, after so many that failed. */
export const pauseAfter = (attempts: number): number => Math.min(RETRY_MS.first * 2 ** (attempts - 1), RETRY_MS.most);

/** Tells a webhook what it is owed, again and again until it takes it, or a day is over. */
@Injectable()
export class DeliverJob implements JobRunner<DeliverAlerts>, OnModuleInit {
  readonly type = DELIVER_ALERTS;

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly database: Database,
    private readonly vault: Vault,
    private readonly outbox: Outbox,
    private readonly events: EventService,
    private readonly jobs: Jobs,
  ) {}

  onModuleInit(): void {
    this.jobs.register(this);
  }

  async run({ deliveryId: id }: DeliverAlerts, { organizationId }: JobContext): Promise<void> {
    const delivery = await this.database.client.alertDelivery.findUnique({
      where: { organizationId, id },
      include: { webhook: true, rule: true, organization: true },
    });
    if (!delivery) return;
    const { webhook } = delivery;
    try {
      const access = JSON.parse(this.vault.unseal(webhookPlace(webhook.id), webhook).toString("utf8")) as WebhookAccess;
      const message = { id, body: JSON.stringify(await this.#body(delivery)), now: new Date() };
      await postWebhook(access, message, this.config.webhookNetworks);
    } catch (error) {
      await this.#failed(delivery, error instanceof Error ? error.message : "it could not be told");
      return;
    }
    await this.database.transaction(async (tx) => {
      await tx.alertDelivery.deleteMany({ where: { organizationId, id } });
      const data = { deliveredAt: new Date(), lastError: null };
      await tx.alertWebhook.updateMany({ where: { organizationId, id: webhook.id }, data });
    });
  }

  async #body({ id, organizationId, rule, state, at, organization }: Delivery) {
    const where = {
      organizationId,
      ruleId: rule.id,
      ...(state === "FIRING" ? { toldAt: at } : { resolvedAt: at, toldAt: { not: null } }),
    };
    const [count, alerts] = await Promise.all([
      this.database.client.alert.count({ where }),
      this.database.client.alert.findMany({ where, orderBy: { id: "asc" }, take: MAX_NAMED }),
    ]);
    return {
      ...{ id, at, state, organization: organization.name, count },
      rule: { id: rule.id, name: rule.name, kind: rule.kind, severity: rule.severity },
      alerts: alerts.map(({ id, subjectId, subject, detail, since, firedAt, resolvedAt }) => ({
        ...{ id, subjectId, subject, detail, since, firedAt, resolvedAt },
      })),
    };
  }

  async #failed({ id, organizationId, webhook, createdAt, ...delivery }: Delivery, lastError: string): Promise<void> {
    const attempts = delivery.attempts + 1;
    const next = new Date(Date.now() + pauseAfter(attempts));
    await this.database.transaction(async (tx) => {
      await tx.alertWebhook.updateMany({ where: { organizationId, id: webhook.id }, data: { lastError } });
      if (next.getTime() - createdAt.getTime() <= GIVE_UP_MS) {
        await tx.alertDelivery.updateMany({ where: { organizationId, id }, data: { attempts } });
        await this.outbox.add(tx, organizationId, DELIVER_ALERTS, { deliveryId: id }, next);
        return;
      }
      const { count } = await tx.alertDelivery.deleteMany({ where: { organizationId, id } });
      if (count > 0)
        await this.events.record(tx, organizationId, {
          ...{ kind: "alert/webhook-failed", severity: "ERROR" },
          message: `alerts were not told to the webhook ${webhook.name}: ${lastError}`,
          facts: { webhook: webhook.name, attempts: String(attempts) },
        });
    });
  }
}
