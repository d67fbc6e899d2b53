import { Inject, Injectable } from "@nestjs/common";
import { WakeUpBus } from "../../platform/bus/bus.js";
import { Changes } from "../../platform/database/changes.js";
import { Database } from "../../platform/database/database.js";
import { apiFault } from "../../platform/faults.js";
import { type Connection, type PageArgs, page } from "../../platform/graphql/connection.js";
import { checkUuid } from "../../platform/input.js";
import { LOG, type Log } from "../../platform/log/log.js";
import type { Alert, Prisma } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { AuditService } from "../audit/audit.service.js";
import { type AlertFilter, AlertStore } from "./alert.store.js";
import { fault } from "./faults.js";

/** Alerts that a subscriber is told of at once. */
const MAX_TOLD = 1_000;

/** What rules have found, and what operators say to it. */
@Injectable()
export class AlertService {
  constructor(
    private readonly database: Database,
    private readonly changes: Changes,
    private readonly store: AlertStore,
    private readonly audit: AuditService,
    private readonly bus: WakeUpBus,
    @Inject(LOG) private readonly log: Log,
  ) {}

  /** Newest first. */
  list(context: TenantContext, args: PageArgs, filter: AlertFilter): Promise<Connection<Alert>> {
    return page(args, (request) => this.store.page(context.organizationId, request, filter));
  }

  changedSince({ organizationId }: TenantContext, since: Date): Promise<Alert[]> {
    return this.store.changedSince(organizationId, since, MAX_TOLD);
  }

  get({ organizationId }: TenantContext, id: string): Promise<Alert | null> {
    return this.store.byId(this.database.client, organizationId, id);
  }

  /** The first one to acknowledge it stays the one who did. */
  acknowledge(context: TenantContext, id: string): Promise<Alert> {
    const acknowledged = { acknowledgedAt: new Date(), acknowledgedBy: context.actor.name };
    return this.#change(context, id, "acknowledgeAlert", (alert) => (alert.acknowledgedAt ? {} : acknowledged));
  }

  silence(context: TenantContext, id: string, until: Date | null): Promise<Alert> {
    return this.#change(context, id, "silenceAlert", () => ({ silencedUntil: until }));
  }

  async #change(
    context: TenantContext,
    rawId: string,
    action: string,
    change: (alert: Alert) => Prisma.AlertUncheckedUpdateInput,
  ): Promise<Alert> {
    const { organizationId } = context;
    const id = checkUuid(rawId, "id");
    const now = new Date();
    const changed = await this.changes.commit(context, async (tx) => {
      const alert = await this.store.byId(tx, organizationId, id);
      if (!alert) throw apiFault("api/not-found", "there is no such alert", { field: "id", value: id });
      if (alert.state === "RESOLVED")
        throw fault("alert/resolved", "the alert is resolved", { field: "id", value: id });
      const after = await this.store.update(tx, organizationId, id, { ...change(alert), updatedAt: now });
      const { acknowledgedAt, silencedUntil } = after;
      await this.audit.record(tx, context, {
        ...{ action, target: { kind: "alert", id } },
        before: { acknowledgedAt: alert.acknowledgedAt, silencedUntil: alert.silencedUntil },
        after: { subject: alert.subject, acknowledgedAt, silencedUntil },
      });
      return after;
    });
    await this.bus
      .publish("alerts", { organizationId, since: now.getTime() })
      .catch((err: unknown) => this.log.warn({ err }, "subscribers were not woken"));
    return changed;
  }
}
