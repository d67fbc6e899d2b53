import { Injectable } from "@nestjs/common";
import { remoteAccessConnectionIds } from "@sallyport/intent";
import { Database, type Tx } from "../../platform/database/database.js";
import type { TunnelState } from "../../platform/prisma/generated/enums.js";
import type { CounterReport, TunnelReport } from "./tunnel-state.service.js";

/** A gateway's end of a tunnel, or its side of remote access, which is no tunnel. */
export interface End {
  readonly id: string;
  readonly tunnel: { readonly id: string; readonly name: string } | null;
  /** The connection's id in the intent. */
  readonly key: string;
  /** Of the report that named it last. */
  readonly mark: string | null;
}

export interface HeldGateway {
  readonly organizationId: string;
  readonly name: string;
  /** The newest stream of its agent. */
  readonly stream: string | null;
}

/** The part of the database that agents' reports write. */
export abstract class TunnelStateStore {
  /** Holds the gateway's row: whatever replicas they reach, its reports are written one after another. Undefined when there is none. */
  abstract holdGateway(tx: Tx, gatewayId: string): Promise<HeldGateway | undefined>;
  /** Makes those of remote access where they are missing; the gateway's row is held. */
  abstract endsOf(tx: Tx, organizationId: string, gatewayId: string): Promise<End[]>;
  /** Holds the tunnels' rows, in the order of their ids, and gives their states. */
  abstract lockTunnels(tx: Tx, organizationId: string, tunnelIds: readonly string[]): Promise<Map<string, TunnelState>>;
  abstract writeEnd(
    tx: Tx,
    organizationId: string,
    endId: string,
    report: TunnelReport | undefined,
    reported: { readonly state: TunnelState; readonly mark: string; readonly at: Date },
  ): Promise<void>;
  abstract otherEnds(
    tx: Tx,
    organizationId: string,
    gatewayId: string,
    tunnelIds: readonly string[],
  ): Promise<{ tunnelId: string; state: TunnelState }[]>;
  abstract setState(tx: Tx, organizationId: string, tunnelId: string, state: TunnelState, since: Date): Promise<void>;
  /** True for the gateway's very first tunnel that came up. */
  abstract noteFirstUp(tx: Tx, organizationId: string, gatewayId: string, at: Date): Promise<boolean>;
  /** Whether no report has named, or left out, an end of the gateway. */
  abstract untold(gatewayId: string): Promise<boolean>;
  /** Of the gateway's own organization alone, whatever keys the gateway names. */
  abstract count(gatewayId: string, at: Date, counters: readonly CounterReport[]): Promise<void>;
}

/** PostgreSQL has no unsigned 64 bits. */
const MAX = 2n ** 63n - 1n;
const signed = (value: bigint) => (value > MAX ? MAX : value);

@Injectable()
export class PrismaTunnelStateStore extends TunnelStateStore {
  constructor(private readonly database: Database) {
    super();
  }

  override async holdGateway(tx: Tx, gatewayId: string): Promise<HeldGateway | undefined> {
    const [gateway] = await tx.$queryRaw<HeldGateway[]>`
      SELECT organization_id::text AS "organizationId", name, report_stream::text AS stream
      FROM gateways WHERE id = ${gatewayId}::uuid FOR NO KEY UPDATE`;
    return gateway;
  }

  override async endsOf(tx: Tx, organizationId: string, gatewayId: string): Promise<End[]> {
    const where = { organizationId, gatewayId };
    const place = await tx.remoteAccessGateway.findFirst({ where, select: { id: true, remoteAccessId: true } });
    const known = await this.#ends(tx, where);
    const keys = place ? remoteAccessConnectionIds(place.remoteAccessId) : [];
    const missing = keys.filter((key) => !known.some((end) => end.key === key));
    if (!place || missing.length === 0) return known;
    const data = missing.map((key) => ({ ...where, remoteAccessGatewayId: place.id, key }));
    await tx.tunnelEnd.createMany({ data, skipDuplicates: true });
    return this.#ends(tx, where);
  }

  async #ends(tx: Tx, where: { readonly organizationId: string; readonly gatewayId: string }): Promise<End[]> {
    const tunnel = { select: { id: true, key: true, name: true } };
    const rows = await tx.tunnelEnd.findMany({ where, select: { id: true, key: true, reportMark: true, tunnel } });
    return rows.map(({ id, key, reportMark: mark, tunnel }) => ({ id, tunnel, key: tunnel?.key ?? key ?? "", mark }));
  }

  override async lockTunnels(tx: Tx, organizationId: string, tunnelIds: readonly string[]) {
    const rows = await tx.$queryRaw<{ id: string; state: TunnelState }[]>`
      SELECT id::text AS id, state::text AS state FROM tunnels
      WHERE organization_id = ${organizationId}::uuid AND id = ANY(${tunnelIds}::uuid[]) ORDER BY id FOR UPDATE`;
    return new Map(rows.map((row) => [row.id, row.state]));
  }

  override async writeEnd(
    tx: Tx,
    organizationId: string,
    id: string,
    report: TunnelReport | undefined,
    { state, mark, at }: { readonly state: TunnelState; readonly mark: string; readonly at: Date },
  ): Promise<void> {
    const error = report?.lastError;
    await tx.tunnelEnd.update({
      where: { organizationId, id },
      data: {
        state,
        reportMark: mark,
        reportedAt: at,
        changedAt: report?.changedAt ?? at,
        // An end that its gateway has no more keeps what went wrong last.
        ...(report
          ? {
              lastErrorCode: error?.code ?? null,
              lastErrorMessage: error?.message ?? null,
              lastErrorOurs: error?.ours ?? null,
              lastErrorTheirs: error?.theirs ?? null,
              lastErrorExchange: error?.exchange ?? null,
              lastErrorAt: error?.at ?? null,
            }
          : {}),
      },
      select: { id: true },
    });
  }

  override async otherEnds(tx: Tx, organizationId: string, gatewayId: string, tunnelIds: readonly string[]) {
    const rows = await tx.tunnelEnd.findMany({
      where: { organizationId, tunnelId: { in: [...tunnelIds] }, gatewayId: { not: gatewayId } },
      select: { tunnelId: true, state: true },
    });
    return rows.flatMap(({ tunnelId, state }) => (tunnelId === null ? [] : [{ tunnelId, state }]));
  }

  override async setState(
    tx: Tx,
    organizationId: string,
    id: string,
    state: TunnelState,
    stateSince: Date,
  ): Promise<void> {
    await tx.tunnel.update({ where: { organizationId, id }, data: { state, stateSince }, select: { id: true } });
  }

  override async noteFirstUp(tx: Tx, organizationId: string, id: string, at: Date): Promise<boolean> {
    const { count } = await tx.gateway.updateMany({
      where: { organizationId, id, firstTunnelUpAt: null },
      data: { firstTunnelUpAt: at },
    });
    return count > 0;
  }

  override async untold(gatewayId: string): Promise<boolean> {
    const found = await this.database.client.$queryRaw<unknown[]>`
      SELECT 1 FROM tunnel_ends e JOIN gateways g ON g.id = e.gateway_id AND g.organization_id = e.organization_id
      WHERE g.id = ${gatewayId}::uuid AND e.report_mark IS NULL LIMIT 1`;
    return found.length > 0;
  }

  override async count(gatewayId: string, at: Date, counters: readonly CounterReport[]): Promise<void> {
    const column = <T>(read: (c: CounterReport) => T) => counters.map(read);
    await this.database.client.$executeRaw`
      UPDATE child_sas c SET bytes_in = w.bytes_in, bytes_out = w.bytes_out, packets_in = w.packets_in,
        packets_out = w.packets_out, errors_in = w.errors_in, last_packet_in_at = w.last_in, counted_at = ${at}
      FROM unnest(
        ${column((c) => c.key)}::text[], ${column((c) => c.inboundSpi)}::text[],
        ${column((c) => signed(c.bytesIn))}::bigint[], ${column((c) => signed(c.bytesOut))}::bigint[],
        ${column((c) => signed(c.packetsIn))}::bigint[], ${column((c) => signed(c.packetsOut))}::bigint[],
        ${column((c) => signed(c.errorsIn))}::bigint[],
        ${column((c) => c.lastPacketInAt?.toISOString() ?? null)}::timestamptz[]
      ) AS w (key, inbound_spi, bytes_in, bytes_out, packets_in, packets_out, errors_in, last_in)
      JOIN gateways g ON g.id = ${gatewayId}::uuid
      CROSS JOIN LATERAL (
        SELECT e.id FROM tunnel_ends e LEFT JOIN tunnels t ON t.id = e.tunnel_id
        WHERE e.gateway_id = g.id AND e.organization_id = g.organization_id AND coalesce(t.key, e.key) = w.key) e
      WHERE c.organization_id = g.organization_id AND c.inbound_spi = w.inbound_spi
        AND (SELECT i.tunnel_end_id FROM ike_sas i WHERE i.id = c.ike_sa_id) = e.id
        AND (c.counted_at IS NULL OR c.counted_at <= ${at})`;
  }
}
