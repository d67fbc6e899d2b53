import { Injectable } from "@nestjs/common";
import { Database } from "../../platform/database/database.js";
import type { AddressPool, Gateway } from "../../platform/prisma/generated/client.js";
import type { TunnelState } from "../../platform/prisma/generated/enums.js";

/** As the API's `FleetHealth` explains them. */
export interface GatewayTotals {
  readonly gateways: number;
  readonly gatewaysConnected: number;
  readonly gatewaysAwaitingEnrolment: number;
  readonly revisionsRefused: number;
  readonly revisionsOpen: number;
}

/** Of what went over the present CHILD SAs. */
export interface Traffic {
  readonly bytesIn: bigint;
  readonly bytesOut: bigint;
  readonly packetsIn: bigint;
  readonly packetsOut: bigint;
}

export interface PoolInUse {
  readonly pool: AddressPool;
  readonly held: number;
}

/** Each is one query over an index or over one narrow table; nothing of a tunnel's rows is read for a number. */
export abstract class FleetHealthStore {
  abstract gateways(organizationId: string): Promise<GatewayTotals>;
  abstract tunnels(organizationId: string): Promise<ReadonlyMap<TunnelState, number>>;
  /** Tunnels without a connected gateway that nobody has reported on of late. */
  abstract stale(organizationId: string): Promise<number>;
  abstract traffic(organizationId: string): Promise<Traffic>;
  /** Most tunnels first. */
  abstract reasons(organizationId: string, limit: number): Promise<{ code: string | null; tunnels: number }[]>;
  /** Tunnels of which an end stopped being up since then; most often first. */
  abstract flapping(organizationId: string, since: Date, limit: number): Promise<{ tunnelId: string; drops: number }[]>;
  /** Enrolled ones without a stream, those that are gone for longest first. */
  abstract offline(organizationId: string, limit: number): Promise<Gateway[]>;
  /** Certificates that are in use and end before then. */
  abstract expiring(organizationId: string, before: Date): Promise<number>;
  /** Pools of which leases are held. */
  abstract poolsInUse(organizationId: string): Promise<PoolInUse[]>;
}

/** As long as the lease of an agent's session, after which it counts as disconnected. */
const STALE_SECONDS = 45;

@Injectable()
export class PrismaFleetHealthStore extends FleetHealthStore {
  constructor(private readonly database: Database) {
    super();
  }

  override async gateways(organizationId: string): Promise<GatewayTotals> {
    const [totals] = await this.database.client.$queryRaw<GatewayTotals[]>`
      SELECT count(*)::int AS "gateways",
        count(*) FILTER (WHERE connected_at IS NOT NULL AND (disconnected_at IS NULL OR disconnected_at < connected_at))::int
          AS "gatewaysConnected",
        count(*) FILTER (WHERE state = 'AWAITING_ENROLMENT')::int AS "gatewaysAwaitingEnrolment",
        count(*) FILTER (WHERE newest.status IN ('NACKED', 'REVERTED'))::int AS "revisionsRefused",
        count(*) FILTER (WHERE newest.status IN ('PENDING', 'PUSHED'))::int AS "revisionsOpen"
      FROM gateways g
      LEFT JOIN LATERAL (
        SELECT r.status FROM intent_revisions r
        WHERE r.gateway_id = g.id AND r.organization_id = g.organization_id ORDER BY r.number DESC LIMIT 1) newest ON true
      WHERE g.organization_id = ${organizationId}::uuid AND g.state <> 'RETIRED'`;
    return totals as GatewayTotals;
  }

  override async tunnels(organizationId: string): Promise<ReadonlyMap<TunnelState, number>> {
    const rows = await this.database.client.$queryRaw<{ state: TunnelState; n: number }[]>`
      SELECT state::text AS state, n FROM (
        SELECT state, count(*)::int AS n FROM tunnels WHERE organization_id = ${organizationId}::uuid GROUP BY 1) t`;
    return new Map(rows.map((row) => [row.state, row.n]));
  }

  /** By way of the gateways that are away, of which there are few as a rule. */
  override async stale(organizationId: string): Promise<number> {
    const [row] = await this.database.client.$queryRaw<{ n: number }[]>`
      WITH away AS MATERIALIZED (
        SELECT id FROM gateways
        WHERE organization_id = ${organizationId}::uuid AND (connected_at IS NULL OR disconnected_at >= connected_at))
      SELECT count(*)::int AS n
      FROM away l JOIN tunnels t ON t.left_gateway_id = l.id AND t.organization_id = ${organizationId}::uuid
      LEFT JOIN away r ON r.id = t.right_gateway_id
      CROSS JOIN LATERAL (SELECT max(e.reported_at) AS at FROM tunnel_ends e WHERE e.tunnel_id = t.id) reported
      WHERE (t.right_gateway_id IS NULL OR r.id IS NOT NULL)
        AND reported.at < now() - make_interval(secs => ${STALE_SECONDS})`;
    return row?.n ?? 0;
  }

  override async traffic(organizationId: string): Promise<Traffic> {
    const [row] = await this.database.client.$queryRaw<Traffic[]>`
      SELECT coalesce(sum(bytes_in), 0)::bigint AS "bytesIn", coalesce(sum(bytes_out), 0)::bigint AS "bytesOut",
        coalesce(sum(packets_in), 0)::bigint AS "packetsIn", coalesce(sum(packets_out), 0)::bigint AS "packetsOut"
      FROM child_sas WHERE organization_id = ${organizationId}::uuid`;
    return row as Traffic;
  }

  override reasons(organizationId: string, limit: number): Promise<{ code: string | null; tunnels: number }[]> {
    return this.database.client.$queryRaw`
      SELECT e.last_error_code AS code, count(DISTINCT t.id)::int AS tunnels
      FROM tunnels t JOIN tunnel_ends e ON e.tunnel_id = t.id AND e.organization_id = t.organization_id AND e.state NOT IN ('UP', 'PENDING')
      WHERE t.organization_id = ${organizationId}::uuid AND t.state IN ('DOWN', 'DEGRADED', 'CONNECTING')
      GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ${limit}`;
  }

  override flapping(
    organizationId: string,
    since: Date,
    limit: number,
  ): Promise<{ tunnelId: string; drops: number }[]> {
    return this.database.client.$queryRaw`
      SELECT e.tunnel_id::text AS "tunnelId", max(s.drops)::int AS drops
      FROM (
        SELECT tunnel_end_id, sum(drops) AS drops FROM tunnel_samples
        WHERE organization_id = ${organizationId}::uuid AND step = 60 AND at >= ${since} AND drops > 0
        GROUP BY 1 ORDER BY 2 DESC LIMIT ${2 * limit}) s
      JOIN tunnel_ends e ON e.id = s.tunnel_end_id AND e.organization_id = ${organizationId}::uuid
      WHERE e.tunnel_id IS NOT NULL
      GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ${limit}`;
  }

  override offline(organizationId: string, limit: number): Promise<Gateway[]> {
    const { client } = this.database;
    return client.gateway.findMany({
      where: {
        ...{ organizationId, state: "ENROLLED" },
        OR: [{ connectedAt: null }, { disconnectedAt: { gte: client.gateway.fields.connectedAt } }],
      },
      orderBy: [{ disconnectedAt: { sort: "asc", nulls: "first" } }, { id: "asc" }],
      take: limit,
    });
  }

  override expiring(organizationId: string, before: Date): Promise<number> {
    return this.database.client.certificate.count({
      where: {
        ...{ organizationId, notAfter: { lt: before }, supersededAt: null, revokedAt: null, standby: false },
        OR: [{ gatewayId: null }, { gateway: { state: { not: "RETIRED" } } }],
      },
    });
  }

  override async poolsInUse(organizationId: string): Promise<PoolInUse[]> {
    const { client } = this.database;
    const [pools, leases] = await Promise.all([
      client.addressPool.findMany({ where: { organizationId } }),
      client.lease.groupBy({ by: ["poolId"], where: { organizationId, open: true }, _count: true }),
    ]);
    const held = new Map(leases.map((row) => [row.poolId, row._count]));
    return pools.map((pool) => ({ pool, held: held.get(pool.id) ?? 0 })).filter((use) => use.held > 0);
  }
}
