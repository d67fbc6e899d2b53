import { poolSize } from "@sallyport/intent";
import type { Tx } from "../../platform/database/database.js";
import { Prisma } from "../../platform/prisma/generated/client.js";
import type { AlertKind } from "../../platform/prisma/generated/enums.js";

/** Of a rule's threshold. */
export interface ThresholdRange {
  readonly min: number;
  readonly max: number;
  readonly usual: number;
}

/** What a kind of rule looks for. */
export interface Kind {
  /** What its threshold may be; undefined: it has none. */
  readonly threshold: ThresholdRange | undefined;
  /** Selects what is so now: `subject_id`, `subject` (its name), `detail` for people, and since when it is so. */
  present(tx: Tx, organizationId: string, threshold: number, now: Date): Promise<Prisma.Sql> | Prisma.Sql;
}

const AWAY = Prisma.sql`(g.connected_at IS NULL OR g.disconnected_at >= g.connected_at)`;
const FIVE_MINUTES_MS = 300_000;
/** A sample of five minutes is there so long after it began. */
const WRITTEN_MS = 3 * FIVE_MINUTES_MS;

async function fullPools(tx: Tx, organizationId: string, percent: number, now: Date): Promise<Prisma.Sql> {
  const where = { organizationId };
  const pools = await tx.addressPool.findMany({ where });
  const counts = await tx.lease.groupBy({ by: ["poolId"], where: { ...where, open: true }, _count: true });
  const held = new Map(counts.map((row) => [row.poolId, row._count]));
  const full = pools.flatMap((pool) => {
    const size = Number(poolSize({ addresses: pool.addresses, except: pool.exclusions }));
    const n = held.get(pool.id) ?? 0;
    const detail = `${n} of ${size} addresses are held`;
    return n * 100 >= size * percent ? [{ id: pool.id, name: pool.name, detail }] : [];
  });
  return Prisma.sql`SELECT p.id AS subject_id, p.name AS subject, p.detail, ${now}::timestamptz AS since
    FROM unnest(${full.map((p) => p.id)}::uuid[], ${full.map((p) => p.name)}::text[], ${full.map((p) => p.detail)}::text[])
      AS p (id, name, detail)`;
}

export const KINDS: Readonly<Record<AlertKind, Kind>> = {
  TUNNEL_DOWN: {
    threshold: undefined,
    present: (_tx, organizationId) => Prisma.sql`
      SELECT t.id AS subject_id, t.name AS subject, coalesce(e.why, 'nothing is known of the reason') AS detail, t.state_since AS since
      FROM tunnels t
      LEFT JOIN LATERAL (
        SELECT e.last_error_code || ': ' || coalesce(e.last_error_message, '') AS why FROM tunnel_ends e
        WHERE e.tunnel_id = t.id AND e.organization_id = t.organization_id AND e.last_error_code IS NOT NULL
        ORDER BY e.last_error_at DESC NULLS LAST LIMIT 1) e ON true
      WHERE t.organization_id = ${organizationId}::uuid AND t.state IN ('DOWN', 'CONNECTING')`,
  },
  TUNNEL_FLAPPING: {
    threshold: { min: 2, max: 1_000, usual: 5 },
    present: (_tx, organizationId, threshold, now) => Prisma.sql`
      SELECT t.id AS subject_id, t.name AS subject, max(s.drops) || ' times down within an hour' AS detail, ${now}::timestamptz AS since
      FROM (
        SELECT tunnel_end_id, sum(drops) AS drops FROM tunnel_samples
        WHERE organization_id = ${organizationId}::uuid AND step = 60 AND drops > 0
          AND at > ${now}::timestamptz - interval '1 hour' AND at <= ${now}
        GROUP BY 1 HAVING sum(drops) >= ${threshold}) s
      JOIN tunnel_ends e ON e.id = s.tunnel_end_id
      JOIN tunnels t ON t.id = e.tunnel_id AND t.organization_id = ${organizationId}::uuid
      GROUP BY t.id, t.name`,
  },
  PACKETS_DROPPED: {
    threshold: { min: 1, max: 100, usual: 5 },
    present: (_tx, organizationId, threshold, now) => {
      const at = new Date(Math.floor((now.getTime() - WRITTEN_MS) / FIVE_MINUTES_MS) * FIVE_MINUTES_MS);
      return Prisma.sql`
        SELECT t.id AS subject_id, t.name AS subject,
          round(100 * max(s.errors_in::numeric / (s.errors_in + s.packets_in))) || ' % of the packets that came in were dropped' AS detail,
          ${at}::timestamptz AS since
        FROM tunnel_samples s JOIN tunnel_ends e ON e.id = s.tunnel_end_id
        JOIN tunnels t ON t.id = e.tunnel_id AND t.organization_id = ${organizationId}::uuid
        WHERE s.step = 300 AND s.at = ${at} AND s.organization_id = ${organizationId}::uuid AND s.errors_in > 0
          AND s.errors_in * 100.0 >= (s.errors_in + s.packets_in) * ${threshold}::numeric
        GROUP BY t.id, t.name`;
    },
  },
  CERTIFICATE_EXPIRING: {
    threshold: { min: 1, max: 3_650, usual: 14 },
    present: (_tx, organizationId, threshold, now) => Prisma.sql`
      SELECT c.id AS subject_id, coalesce(nullif(c.holder, ''), c.subject) AS subject, 'ends ' || to_char(c.not_after AT TIME ZONE 'UTC',
        'YYYY-MM-DD HH24:MI') || ' UTC' AS detail, c.not_after - make_interval(days => ${threshold}::int) AS since
      FROM certificates c LEFT JOIN gateways g ON g.id = c.gateway_id
      WHERE c.organization_id = ${organizationId}::uuid AND c.not_after < ${now}::timestamptz + make_interval(days => ${threshold}::int)
        AND c.superseded_at IS NULL AND c.revoked_at IS NULL AND NOT c.standby AND (g.id IS NULL OR g.state <> 'RETIRED')`,
  },
  REVISION_REFUSED: {
    threshold: undefined,
    present: (_tx, organizationId, _threshold, now) => Prisma.sql`
      SELECT g.id AS subject_id, g.name AS subject,
        'revision ' || r.number || ': ' || coalesce(r.nack_field || ': ', '') || coalesce(r.nack_reason, 'the gateway went back from it') AS detail,
        coalesce(r.nacked_at, r.reverted_at, ${now}) AS since
      FROM gateways g CROSS JOIN LATERAL (
        SELECT * FROM intent_revisions r WHERE r.gateway_id = g.id AND r.organization_id = g.organization_id
        ORDER BY r.number DESC LIMIT 1) r
      WHERE g.organization_id = ${organizationId}::uuid AND g.state <> 'RETIRED' AND r.status IN ('NACKED', 'REVERTED')`,
  },
  GATEWAY_OFFLINE: {
    threshold: undefined,
    present: (_tx, organizationId, _threshold, now) => Prisma.sql`
      SELECT g.id AS subject_id, g.name AS subject, 'its agent is not connected' AS detail,
        coalesce(g.disconnected_at, g.enrolled_at, ${now}) AS since
      FROM gateways g WHERE g.organization_id = ${organizationId}::uuid AND g.state = 'ENROLLED' AND ${AWAY}`,
  },
  POOL_NEARLY_FULL: { threshold: { min: 1, max: 100, usual: 90 }, present: fullPools },
};
