import { randomBytes, randomUUIDv7 } from "node:crypto";
import { Injectable } from "@nestjs/common";
import { Changes } from "../../platform/database/changes.js";
import { Database } from "../../platform/database/database.js";
import { apiFault } from "../../platform/faults.js";
import { checkName, checkUuid } from "../../platform/input.js";
import type { AlertWebhook } from "../../platform/prisma/generated/client.js";
import type { Severity } from "../../platform/prisma/generated/enums.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { Vault } from "../../platform/vault/vault.js";
import { AuditService } from "../audit/audit.service.js";
import { fault } from "./faults.js";
import { checkWebhookUrl, type WebhookAccess, webhookPlace } from "./webhook.js";

export interface NewWebhook {
  readonly name: string;
  readonly url: string;
  readonly minSeverity: Severity;
}

/** Of one organization. */
const MAX_WEBHOOKS = 20;
const KEY_BYTES = 32;

const facts = ({ name, origin, minSeverity }: AlertWebhook) => ({ name, origin, minSeverity });

/** Where alerts are told. What their URLs say beyond the origin comes out of no query: it may be what they are protected by. */
@Injectable()
export class WebhookService {
  constructor(
    private readonly database: Database,
    private readonly changes: Changes,
    private readonly vault: Vault,
    private readonly audit: AuditService,
  ) {}

  /** Oldest first. */
  list({ organizationId }: TenantContext): Promise<AlertWebhook[]> {
    return this.database.client.alertWebhook.findMany({ where: { organizationId }, orderBy: { id: "asc" } });
  }

  /** With the key that signs, which is not shown again. @throws api/bad-input, api/name-taken, alert/too-many-webhooks */
  create(context: TenantContext, input: NewWebhook): Promise<{ webhook: AlertWebhook; key: string }> {
    const { organizationId } = context;
    const { minSeverity } = input;
    const name = checkName(input.name, "input.name");
    const { href: url, origin } = checkWebhookUrl(input.url, "input.url");
    const access: WebhookAccess = { url, key: randomBytes(KEY_BYTES).toString("hex") };
    return this.changes.commit(context, async (tx) => {
      if ((await tx.alertWebhook.count({ where: { organizationId } })) >= MAX_WEBHOOKS) {
        const expected = `at most ${MAX_WEBHOOKS} webhooks`;
        throw fault("alert/too-many-webhooks", `there are ${MAX_WEBHOOKS} webhooks already`, { expected });
      }
      if ((await tx.alertWebhook.count({ where: { organizationId, name } })) > 0) {
        throw apiFault("api/name-taken", `a webhook is called ${name} already`, { field: "input.name", value: name });
      }
      const id = randomUUIDv7();
      const sealed = this.vault.seal(webhookPlace(id), JSON.stringify(access));
      const webhook = await tx.alertWebhook.create({
        data: { id, organizationId, name, origin, minSeverity, ...sealed },
      });
      const target = { kind: "alertWebhook", id };
      await this.audit.record(tx, context, { action: "createAlertWebhook", target, after: facts(webhook) });
      return { webhook, key: access.key };
    });
  }

  /** What it is still owed is not told any more. */
  delete(context: TenantContext, rawId: string): Promise<AlertWebhook> {
    const { organizationId } = context;
    const id = checkUuid(rawId, "id");
    return this.changes.commit(context, async (tx) => {
      const webhook = await tx.alertWebhook.findUnique({ where: { organizationId, id } });
      if (!webhook) throw apiFault("api/not-found", "there is no such webhook", { field: "id", value: id });
      await tx.alertWebhook.delete({ where: { organizationId, id } });
      const target = { kind: "alertWebhook", id };
      await this.audit.record(tx, context, { action: "deleteAlertWebhook", target, before: facts(webhook) });
      return webhook;
    });
  }
}
