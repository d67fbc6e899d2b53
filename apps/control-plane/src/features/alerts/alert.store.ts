import { Injectable } from "@nestjs/common";
import { Database, type Tx } from "../../platform/database/database.js";
import { ANY_ORGANIZATION } from "../../platform/database/tenancy-guard.js";
import { type PageRequest, pageQuery } from "../../platform/graphql/connection.js";
import { type Alert, type AlertRule, Prisma } from "../../platform/prisma/generated/client.js";
import type { AlertState } from "../../platform/prisma/generated/enums.js";

export interface AlertFilter {
  readonly states?: readonly AlertState[];
  readonly ruleId?: string;
  readonly subjectId?: string;
  readonly acknowledged?: boolean;
}

export abstract class AlertStore {
  abstract allRules(): Promise<AlertRule[]>;
  /**
   * Makes, fires and resolves the rule's alerts by what is so now, not more of each than a transaction has time for: the next time it goes
   * on. Gives how many it changed.
   */
  abstract settle(tx: Tx, rule: AlertRule, present: Prisma.Sql, now: Date): Promise<number>;
  /** Newest first. */
  abstract page(organizationId: string, request: PageRequest, filter: AlertFilter): Promise<Alert[]>;
  /** Those that changed since then, the last ones first. */
  abstract changedSince(organizationId: string, since: Date, limit: number): Promise<Alert[]>;
  abstract byId(tx: Tx, organizationId: string, id: string): Promise<Alert | null>;
  abstract update(tx: Tx, organizationId: string, id: string, data: Prisma.AlertUncheckedUpdateInput): Promise<Alert>;
}

/** Alerts that are made, fired or resolved in one transaction. */
const AT_ONCE = 10_000;

/** A UUID of version 7 (RFC 9562 §5.7) of now: pages are read in the order of ids. */
const ID = Prisma.sql`(
  SELECT (substr(t.ms, 1, 8) || '-' || substr(t.ms, 9) || '-7' || substr(t.random, 16, 3) || substr(t.random, 19))::uuid
  FROM (SELECT lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') AS ms, gen_random_uuid()::text AS random
    WHERE p.subject_id IS NOT NULL) t)`;

@Injectable()
export class PrismaAlertStore extends AlertStore {
  constructor(private readonly database: Database) {
    super();
  }

  override allRules(): Promise<AlertRule[]> {
    return this.database.client.alertRule.findMany({
      where: { organizationId: ANY_ORGANIZATION },
      orderBy: { id: "asc" },
    });
  }

  override async settle(tx: Tx, rule: AlertRule, present: Prisma.Sql, now: Date): Promise<number> {
    const { id, organizationId, forSeconds } = rule;
    const long = new Date(now.getTime() - forSeconds * 1000);
    // Ten thousand alerts may be younger than the table's statistics: each row of one side would be compared with each of the other.
    await tx.$executeRaw`SELECT set_config('enable_nestloop', 'off', true)`;
    const [row] = await tx.$queryRaw<{ n: number }[]>`
      WITH present AS MATERIALIZED (${present}),
      known AS MATERIALIZED (
        SELECT id, subject_id, state, since FROM alerts
        WHERE rule_id = ${id}::uuid AND organization_id = ${organizationId}::uuid AND open),
      -- What comes back is as silent as it was.
      silent AS MATERIALIZED (
        SELECT subject_id, max(silenced_until) AS until FROM alerts
        WHERE rule_id = ${id}::uuid AND organization_id = ${organizationId}::uuid AND silenced_until > ${now} GROUP BY 1),
      gone AS (
        SELECT k.id, k.state FROM known k LEFT JOIN present p ON p.subject_id = k.subject_id WHERE p.subject_id IS NULL
        LIMIT ${AT_ONCE}),
      forgotten AS (
        DELETE FROM alerts USING gone WHERE alerts.id = gone.id AND alerts.organization_id = ${organizationId}::uuid
          AND gone.state = 'PENDING' RETURNING 1),
      resolved AS (
        UPDATE alerts SET state = 'RESOLVED', open = NULL, resolved_at = ${now}, updated_at = ${now} FROM gone
        WHERE alerts.id = gone.id AND alerts.organization_id = ${organizationId}::uuid AND gone.state = 'FIRING' RETURNING 1),
      fired AS (
        UPDATE alerts SET state = 'FIRING', fired_at = ${now}, updated_at = ${now}, detail = due.detail, subject = due.subject
        FROM (
          SELECT k.id, p.detail, p.subject FROM known k JOIN present p ON p.subject_id = k.subject_id
          WHERE k.state = 'PENDING' AND k.since <= ${long} LIMIT ${AT_ONCE}) due
        WHERE alerts.id = due.id AND alerts.organization_id = ${organizationId}::uuid
        RETURNING 1),
      fresh AS (
        INSERT INTO alerts (id, organization_id, rule_id, state, subject_id, subject, detail, since, fired_at, silenced_until, updated_at)
        SELECT ${ID}, ${organizationId}::uuid, ${id}::uuid, (CASE WHEN p.since <= ${long} THEN 'FIRING' ELSE 'PENDING' END)::alert_state,
          p.subject_id, p.subject, p.detail, p.since, CASE WHEN p.since <= ${long} THEN ${now}::timestamptz END,
          silent.until, ${now}
        FROM present p LEFT JOIN known k ON k.subject_id = p.subject_id LEFT JOIN silent ON silent.subject_id = p.subject_id
        WHERE k.id IS NULL
        LIMIT ${AT_ONCE}
        ON CONFLICT DO NOTHING RETURNING 1)
      SELECT ((SELECT count(*) FROM forgotten) + (SELECT count(*) FROM resolved) + (SELECT count(*) FROM fired)
        + (SELECT count(*) FROM fresh))::int AS n`;
    return row?.n ?? 0;
  }

  override page(organizationId: string, request: PageRequest, filter: AlertFilter): Promise<Alert[]> {
    const { where, ...rest } = pageQuery(request, "desc");
    const { states, acknowledged, ...columns } = filter;
    return this.database.client.alert.findMany({
      where: {
        ...{ organizationId, ...columns, ...where },
        ...(states === undefined ? {} : { state: { in: [...states] } }),
        ...(acknowledged === undefined ? {} : { acknowledgedAt: acknowledged ? { not: null } : null }),
      },
      ...rest,
    });
  }

  override changedSince(organizationId: string, since: Date, limit: number): Promise<Alert[]> {
    return this.database.client.alert.findMany({
      where: { organizationId, updatedAt: { gte: since } },
      orderBy: [{ updatedAt: "desc" }, { id: "desc" }],
      take: limit,
    });
  }

  override byId(tx: Tx, organizationId: string, id: string): Promise<Alert | null> {
    return tx.alert.findUnique({ where: { organizationId, id } });
  }

  override update(tx: Tx, organizationId: string, id: string, data: Prisma.AlertUncheckedUpdateInput): Promise<Alert> {
    return tx.alert.update({ where: { organizationId, id }, data });
  }
}
