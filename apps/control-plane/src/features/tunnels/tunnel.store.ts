import { Injectable } from "@nestjs/common";
import { Database } from "../../platform/database/database.js";
import { type PageRequest, pageQuery } from "../../platform/graphql/connection.js";
import type { ChildSa, IkeSa, Tunnel, TunnelEnd } from "../../platform/prisma/generated/client.js";
import type { TunnelState } from "../../platform/prisma/generated/enums.js";

export interface TunnelFilter {
  readonly state?: TunnelState;
  readonly gatewayId?: string;
  readonly networkId?: string;
  readonly externalPeerId?: string;
}

/** As the API's `FleetHealth` explains them. */
export interface FleetTotals {
  readonly gateways: number;
  readonly gatewaysConnected: number;
  readonly gatewaysAwaitingEnrolment: number;
  readonly tunnels: number;
  readonly tunnelsUp: number;
  readonly tunnelsDegraded: number;
  readonly tunnelsConnecting: number;
  readonly tunnelsDown: number;
  readonly tunnelsPending: number;
  readonly tunnelsStale: number;
  readonly revisionsRefused: number;
  readonly revisionsOpen: number;
  readonly bytesIn: bigint;
  readonly bytesOut: bigint;
  readonly packetsIn: bigint;
  readonly packetsOut: bigint;
}

/** As long as the lease of an agent's session, after which it counts as disconnected. */
const STALE_SECONDS = 45;

/** Reads what agents reported. */
export abstract class TunnelStore {
  abstract page(organizationId: string, request: PageRequest, filter: TunnelFilter): Promise<Tunnel[]>;
  abstract byId(organizationId: string, id: string): Promise<Tunnel | null>;
  abstract ids(organizationId: string): Promise<string[]>;
  abstract ends(organizationId: string, tunnelIds: readonly string[]): Promise<TunnelEnd[]>;
  abstract ikeSas(organizationId: string, endIds: readonly string[]): Promise<IkeSa[]>;
  abstract childSas(organizationId: string, ikeSaIds: readonly string[]): Promise<ChildSa[]>;
  abstract totals(organizationId: string): Promise<FleetTotals>;
}

@Injectable()
export class PrismaTunnelStore extends TunnelStore {
  constructor(private readonly database: Database) {
    super();
  }

  override page(organizationId: string, request: PageRequest, filter: TunnelFilter): Promise<Tunnel[]> {
    const { where, ...rest } = pageQuery(request, "asc");
    const { gatewayId, ...columns } = filter;
    const ofGateway = gatewayId === undefined ? {} : { ends: { some: { organizationId, gatewayId } } };
    return this.database.client.tunnel.findMany({
      where: { organizationId, ...columns, ...ofGateway, ...where },
      ...rest,
    });
  }

  override byId(organizationId: string, id: string): Promise<Tunnel | null> {
    return this.database.client.tunnel.findUnique({ where: { organizationId, id } });
  }

  override async ids(organizationId: string): Promise<string[]> {
    const rows = await this.database.client.tunnel.findMany({ where: { organizationId }, select: { id: true } });
    return rows.map((row) => row.id);
  }

  override ends(organizationId: string, tunnelIds: readonly string[]): Promise<TunnelEnd[]> {
    return this.database.client.tunnelEnd.findMany({
      where: { organizationId, tunnelId: { in: [...tunnelIds] } },
      orderBy: { id: "asc" },
    });
  }

  override ikeSas(organizationId: string, endIds: readonly string[]): Promise<IkeSa[]> {
    return this.database.client.ikeSa.findMany({
      where: { organizationId, tunnelEndId: { in: [...endIds] } },
      orderBy: { id: "asc" },
    });
  }

  override childSas(organizationId: string, ikeSaIds: readonly string[]): Promise<ChildSa[]> {
    return this.database.client.childSa.findMany({
      where: { organizationId, ikeSaId: { in: [...ikeSaIds] } },
      orderBy: { id: "asc" },
    });
  }

  override async totals(organizationId: string): Promise<FleetTotals> {
    const [totals] = await this.database.client.$queryRaw<FleetTotals[]>`
      WITH g AS (SELECT count(*)::int AS total,
                        count(*) FILTER (WHERE connected_at IS NOT NULL
                          AND (disconnected_at IS NULL OR disconnected_at < connected_at))::int AS connected,
                        count(*) FILTER (WHERE state = 'AWAITING_ENROLMENT')::int AS awaiting
                 FROM gateways WHERE organization_id = ${organizationId}::uuid AND state <> 'RETIRED'),
           t AS (SELECT count(*)::int AS total,
                        count(*) FILTER (WHERE state = 'UP')::int AS up,
                        count(*) FILTER (WHERE state = 'DEGRADED')::int AS degraded,
                        count(*) FILTER (WHERE state = 'CONNECTING')::int AS connecting,
                        count(*) FILTER (WHERE state = 'DOWN')::int AS down,
                        count(*) FILTER (WHERE state = 'PENDING')::int AS pending
                 FROM tunnels WHERE organization_id = ${organizationId}::uuid),
           s AS (SELECT count(*)::int AS stale FROM (
                   SELECT e.tunnel_id FROM tunnel_ends e JOIN gateways g ON g.id = e.gateway_id
                   WHERE e.organization_id = ${organizationId}::uuid AND g.organization_id = e.organization_id
                     AND e.tunnel_id IS NOT NULL
                   GROUP BY e.tunnel_id
                   HAVING max(e.reported_at) < now() - make_interval(secs => ${STALE_SECONDS})
                     AND NOT bool_or(g.connected_at IS NOT NULL
                       AND (g.disconnected_at IS NULL OR g.disconnected_at < g.connected_at))) x),
           n AS (SELECT DISTINCT ON (gateway_id) status FROM intent_revisions
                 WHERE organization_id = ${organizationId}::uuid ORDER BY gateway_id, number DESC),
           r AS (SELECT count(*) FILTER (WHERE status IN ('NACKED', 'REVERTED'))::int AS refused,
                        count(*) FILTER (WHERE status IN ('PENDING', 'PUSHED'))::int AS open FROM n),
           c AS (SELECT coalesce(sum(bytes_in), 0)::bigint AS bytes_in, coalesce(sum(bytes_out), 0)::bigint AS bytes_out,
                        coalesce(sum(packets_in), 0)::bigint AS packets_in,
                        coalesce(sum(packets_out), 0)::bigint AS packets_out
                 FROM child_sas WHERE organization_id = ${organizationId}::uuid)
      SELECT g.total AS "gateways", g.connected AS "gatewaysConnected", g.awaiting AS "gatewaysAwaitingEnrolment",
             t.total AS "tunnels", t.up AS "tunnelsUp", t.degraded AS "tunnelsDegraded",
             t.connecting AS "tunnelsConnecting", t.down AS "tunnelsDown", t.pending AS "tunnelsPending", s.stale AS "tunnelsStale",
             r.refused AS "revisionsRefused", r.open AS "revisionsOpen", c.bytes_in AS "bytesIn",
             c.bytes_out AS "bytesOut", c.packets_in AS "packetsIn", c.packets_out AS "packetsOut"
      FROM g, t, s, r, c`;
    return totals as FleetTotals;
  }
}
