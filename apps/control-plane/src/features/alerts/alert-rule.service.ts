import { Injectable } from "@nestjs/common";
import { Changes } from "../../platform/database/changes.js";
import { Database, type Tx } from "../../platform/database/database.js";
import { apiFault } from "../../platform/faults.js";
import { checkName, checkUuid } from "../../platform/input.js";
import type { AlertRule } from "../../platform/prisma/generated/client.js";
import type { AlertKind, Severity } from "../../platform/prisma/generated/enums.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { AuditService } from "../audit/audit.service.js";
import { fault } from "./faults.js";
import { KINDS } from "./kinds.js";

export interface NewRule {
  readonly name: string;
  readonly kind: AlertKind;
  readonly severity: Severity;
  readonly forSeconds: number;
  readonly threshold?: number | null | undefined;
}

export interface RuleChanges {
  readonly id: string;
  readonly name?: string | null | undefined;
  readonly severity?: Severity | null | undefined;
  readonly forSeconds?: number | null | undefined;
  readonly threshold?: number | null | undefined;
  readonly silencedUntil?: Date | null | undefined;
}

/** Of one organization. */
const MAX_RULES = 100;
const MAX_SECONDS = 7 * 86_400;

const bad = (field: string, value: number, expected: string) =>
  apiFault("api/bad-input", `${field}: expected ${expected}`, { field, value: String(value), expected });

function checkFor(value: number): number {
  if (value >= 0 && value <= MAX_SECONDS) return value;
  throw bad("input.forSeconds", value, `0 to ${MAX_SECONDS}`);
}

function checkThreshold(kind: AlertKind, value: number | null | undefined): number | null {
  const { threshold } = KINDS[kind];
  if (value === null || value === undefined) return threshold?.usual ?? null;
  if (threshold === undefined) throw bad("input.threshold", value, `nothing: ${kind} has no threshold`);
  const { min, max } = threshold;
  if (value >= min && value <= max) return value;
  throw bad("input.threshold", value, `${min} to ${max}`);
}

const facts = ({ name, kind, severity, forSeconds, threshold, silencedUntil }: AlertRule) => ({
  ...{ name, kind, severity, forSeconds, threshold, silencedUntil },
});

/** What operators are alerted of. */
@Injectable()
export class AlertRuleService {
  constructor(
    private readonly database: Database,
    private readonly changes: Changes,
    private readonly audit: AuditService,
  ) {}

  /** Oldest first. */
  list({ organizationId }: TenantContext): Promise<AlertRule[]> {
    return this.database.client.alertRule.findMany({ where: { organizationId }, orderBy: { id: "asc" } });
  }

  async byIds({ organizationId }: TenantContext, ids: readonly string[]): Promise<ReadonlyMap<string, AlertRule>> {
    const rows = await this.database.client.alertRule.findMany({ where: { organizationId, id: { in: [...ids] } } });
    return new Map(rows.map((row) => [row.id, row]));
  }

  /** @throws api/bad-input, api/name-taken, alert/too-many-rules */
  create(context: TenantContext, input: NewRule): Promise<AlertRule> {
    const { organizationId } = context;
    const { kind, severity } = input;
    const name = checkName(input.name, "input.name");
    const forSeconds = checkFor(input.forSeconds);
    const threshold = checkThreshold(kind, input.threshold);
    return this.changes.commit(context, async (tx) => {
      if ((await tx.alertRule.count({ where: { organizationId } })) >= MAX_RULES) {
        const expected = `at most ${MAX_RULES} rules`;
        throw fault("alert/too-many-rules", `there are ${MAX_RULES} rules already`, { expected });
      }
      await this.#checkFree(tx, organizationId, name);
      const rule = await tx.alertRule.create({ data: { organizationId, name, kind, severity, forSeconds, threshold } });
      const target = { kind: "alertRule", id: rule.id };
      await this.audit.record(tx, context, { action: "createAlertRule", target, after: facts(rule) });
      return rule;
    });
  }

  /** @throws api/bad-input, api/name-taken, api/not-found */
  update(context: TenantContext, input: RuleChanges): Promise<AlertRule> {
    const { organizationId } = context;
    return this.changes.commit(context, async (tx) => {
      const before = await this.#get(tx, organizationId, input.id, "input.id");
      const name = input.name ? checkName(input.name, "input.name") : before.name;
      if (name !== before.name) await this.#checkFree(tx, organizationId, name);
      const rule = await tx.alertRule.update({
        where: { organizationId, id: before.id },
        data: {
          name,
          severity: input.severity ?? before.severity,
          forSeconds: checkFor(input.forSeconds ?? before.forSeconds),
          threshold: checkThreshold(before.kind, input.threshold ?? before.threshold),
          silencedUntil: input.silencedUntil === undefined ? before.silencedUntil : input.silencedUntil,
        },
      });
      const target = { kind: "alertRule", id: rule.id };
      const change = { action: "updateAlertRule", target, before: facts(before), after: facts(rule) };
      await this.audit.record(tx, context, change);
      return rule;
    });
  }

  /** With its alerts. */
  delete(context: TenantContext, id: string): Promise<AlertRule> {
    const { organizationId } = context;
    return this.changes.commit(context, async (tx) => {
      const rule = await this.#get(tx, organizationId, id, "id");
      await tx.alertRule.delete({ where: { organizationId, id: rule.id } });
      const target = { kind: "alertRule", id: rule.id };
      await this.audit.record(tx, context, { action: "deleteAlertRule", target, before: facts(rule) });
      return rule;
    });
  }

  async #checkFree(tx: Tx, organizationId: string, name: string): Promise<void> {
    if ((await tx.alertRule.count({ where: { organizationId, name } })) === 0) return;
    throw apiFault("api/name-taken", `a rule is called ${name} already`, { field: "input.name", value: name });
  }

  async #get(tx: Tx, organizationId: string, rawId: string, field: string): Promise<AlertRule> {
    const id = checkUuid(rawId, field);
    const rule = await tx.alertRule.findUnique({ where: { organizationId, id } });
    if (rule) return rule;
    throw apiFault("api/not-found", "there is no such rule", { field, value: id });
  }
}
