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

export interface FleetTotals {
  readonly gateways: { total: number; connected: number; awaitingEnrolment: number };
  readonly tunnels: Readonly<Record<TunnelState, number>>;
  readonly refusedRevisions: number;
  readonly openRevisions: number;
  readonly traffic: { bytesIn: bigint; bytesOut: bigint; packetsIn: bigint; packetsOut: bigint };
}

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

interface TotalsRow {
  gateways: number;
  connected: number;
  awaiting: number;
  pending: number;
  connecting: number;
  up: number;
  degraded: number;
  down: number;
  refused: number;
  open: number;
  bytes_in: bigint;
  bytes_out: bigint;
  packets_in: bigint;
  packets_out: bigint;
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
    const [row] = await this.database.client.$queryRaw<TotalsRow[]>`
      WITH g AS (SELECT state, connected_at, disconnected_at FROM gateways
                 WHERE organization_id = ${organizationId}::uuid AND state <> 'RETIRED'),
           t AS (SELECT state FROM tunnels WHERE organization_id = ${organizationId}::uuid),
           r AS (SELECT DISTINCT ON (gateway_id) status FROM intent_revisions
                 WHERE organization_id = ${organizationId}::uuid ORDER BY gateway_id, number DESC),
           c AS (SELECT coalesce(sum(bytes_in), 0)::bigint AS bytes_in, coalesce(sum(bytes_out), 0)::bigint AS bytes_out,
                        coalesce(sum(packets_in), 0)::bigint AS packets_in, coalesce(sum(packets_out), 0)::bigint AS packets_out
                 FROM child_sas WHERE organization_id = ${organizationId}::uuid)
      SELECT (SELECT count(*)::int FROM g) AS gateways,
             (SELECT count(*)::int FROM g WHERE connected_at IS NOT NULL
                AND (disconnected_at IS NULL OR disconnected_at < connected_at)) AS connected,
             (SELECT count(*)::int FROM g WHERE state = 'AWAITING_ENROLMENT') AS awaiting,
             (SELECT count(*)::int FROM t WHERE state = 'PENDING') AS pending,
             (SELECT count(*)::int FROM t WHERE state = 'CONNECTING') AS connecting,
             (SELECT count(*)::int FROM t WHERE state = 'UP') AS up,
             (SELECT count(*)::int FROM t WHERE state = 'DEGRADED') AS degraded,
             (SELECT count(*)::int FROM t WHERE state = 'DOWN') AS down,
             (SELECT count(*)::int FROM r WHERE status IN ('NACKED', 'REVERTED')) AS refused,
             (SELECT count(*)::int FROM r WHERE status IN ('PENDING', 'PUSHED')) AS open,
             c.bytes_in, c.bytes_out, c.packets_in, c.packets_out
      FROM c`;
    const r = row as TotalsRow;
    return {
      gateways: { total: r.gateways, connected: r.connected, awaitingEnrolment: r.awaiting },
      tunnels: { PENDING: r.pending, CONNECTING: r.connecting, UP: r.up, DEGRADED: r.degraded, DOWN: r.down },
      refusedRevisions: r.refused,
      openRevisions: r.open,
      traffic: { bytesIn: r.bytes_in, bytesOut: r.bytes_out, packetsIn: r.packets_in, packetsOut: r.packets_out },
    };
  }
}
