import { Injectable } from "@nestjs/common";
import { remoteAccessConnectionIds } from "@sallyport/intent";
import { Database, type Tx } from "../../platform/database/database.js";
import { Prisma } from "../../platform/prisma/generated/client.js";
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
  /** As it was reported last. */
  readonly state: TunnelState;
}

/** An end that has stopped being up. */
export interface DroppedEnd {
  readonly endId: string;
  readonly state: TunnelState;
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
  /** For the history of tunnels. */
  abstract noteDrops(tx: Tx, organizationId: string, at: Date, ends: readonly DroppedEnd[]): Promise<void>;
  /** With the history of tunnels. Of the gateway's own organization alone, whatever keys the gateway names. */
  abstract count(gatewayId: string, at: Date, counters: readonly CounterReport[]): Promise<void>;
}

/** PostgreSQL has no unsigned 64 bits. */
const MAX = 2n ** 63n - 1n;
const signed = (value: bigint) => (value > MAX ? MAX : value);

/** Sums of many samples have to fit in 64 bits, whatever a gateway counts. */
const MAX_SAMPLE = Prisma.raw(String(Number.MAX_SAFE_INTEGER));
/** What was counted since the last time. A data plane that began anew counts from 0. */
const grown = (counter: string) =>
  Prisma.raw(`CASE WHEN ${counter} >= was_${counter} THEN ${counter} - was_${counter} ELSE ${counter} END`);
const minuteOf = (at: Date) => new Date(Math.floor(at.getTime() / 60_000) * 60_000);

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
    const rows = await tx.tunnelEnd.findMany({
      where,
      select: { id: true, key: true, state: true, reportMark: true, tunnel },
    });
    return rows.map(({ key, reportMark: mark, tunnel, ...row }) => ({
      ...row,
      tunnel,
      key: tunnel?.key ?? key ?? "",
      mark,
    }));
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
    const minute = minuteOf(at);
    await this.database.client.$executeRaw`
      WITH told AS (
        SELECT c.id, c.organization_id, e.id AS end_id, e.tunnel_id, e.state, c.counted_at AS before, w.*,
          c.bytes_in AS was_bytes_in, c.bytes_out AS was_bytes_out, c.packets_in AS was_packets_in, c.packets_out AS was_packets_out,
          c.errors_in AS was_errors_in, coalesce(c.counted_at, greatest(c.established_at, ${at}::timestamptz - interval '1 minute')) AS since
        FROM unnest(
          ${column((c) => c.key)}::text[], ${column((c) => c.inboundSpi)}::text[],
          ${column((c) => signed(c.bytesIn))}::bigint[], ${column((c) => signed(c.bytesOut))}::bigint[],
          ${column((c) => signed(c.packetsIn))}::bigint[], ${column((c) => signed(c.packetsOut))}::bigint[],
          ${column((c) => signed(c.errorsIn))}::bigint[],
          ${column((c) => c.lastPacketInAt?.toISOString() ?? null)}::timestamptz[]
        ) AS w (key, inbound_spi, bytes_in, bytes_out, packets_in, packets_out, errors_in, last_in)
        JOIN gateways g ON g.id = ${gatewayId}::uuid
        CROSS JOIN LATERAL (
          SELECT e.id, e.tunnel_id, e.state FROM tunnel_ends e LEFT JOIN tunnels t ON t.id = e.tunnel_id
          WHERE e.gateway_id = g.id AND e.organization_id = g.organization_id AND coalesce(t.key, e.key) = w.key) e
        JOIN child_sas c ON c.organization_id = g.organization_id AND c.inbound_spi = w.inbound_spi
        WHERE (SELECT i.tunnel_end_id FROM ike_sas i WHERE i.id = c.ike_sa_id) = e.id
          AND (c.counted_at IS NULL OR c.counted_at <= ${at})
      ), counted AS (
        UPDATE child_sas c SET bytes_in = w.bytes_in, bytes_out = w.bytes_out, packets_in = w.packets_in,
          packets_out = w.packets_out, errors_in = w.errors_in, last_packet_in_at = w.last_in, counted_at = ${at}
        FROM told w
        WHERE c.id = w.id AND c.organization_id = w.organization_id AND (c.counted_at IS NULL OR c.counted_at <= ${at})
      ), fresh AS (
        -- An SA that moves to another IKE SA has two rows for a moment.
        SELECT DISTINCT ON (end_id, inbound_spi) * FROM told
        WHERE tunnel_id IS NOT NULL ORDER BY end_id, inbound_spi, before DESC NULLS LAST
      )
      INSERT INTO tunnel_samples AS s (step, at, tunnel_end_id, organization_id, bytes_in, bytes_out, packets_in, packets_out,
        errors_in, covered, counted_at, known, up, degraded)
      SELECT 60, ${minute}::timestamptz, end_id, organization_id,
        least(sum(${grown("bytes_in")}), ${MAX_SAMPLE}), least(sum(${grown("bytes_out")}), ${MAX_SAMPLE}),
        least(sum(${grown("packets_in")}), ${MAX_SAMPLE}), least(sum(${grown("packets_out")}), ${MAX_SAMPLE}),
        least(sum(${grown("errors_in")}), ${MAX_SAMPLE}),
        least(greatest(max(extract(epoch FROM ${at}::timestamptz - since)), 0), 86400), ${at}::timestamptz, 1, (state = 'UP')::int, (state = 'DEGRADED')::int
      FROM fresh GROUP BY end_id, organization_id, state
      ON CONFLICT (step, at, tunnel_end_id) DO UPDATE SET
        bytes_in = least(s.bytes_in + EXCLUDED.bytes_in, ${MAX_SAMPLE}), bytes_out = least(s.bytes_out + EXCLUDED.bytes_out, ${MAX_SAMPLE}),
        packets_in = least(s.packets_in + EXCLUDED.packets_in, ${MAX_SAMPLE}),
        packets_out = least(s.packets_out + EXCLUDED.packets_out, ${MAX_SAMPLE}),
        errors_in = least(s.errors_in + EXCLUDED.errors_in, ${MAX_SAMPLE}),
        -- The rest of an end's SAs, in another statement, covers the same time.
        covered = s.covered + CASE WHEN s.counted_at = EXCLUDED.counted_at THEN 0 ELSE EXCLUDED.covered END,
        counted_at = EXCLUDED.counted_at, known = 1, up = EXCLUDED.up, degraded = EXCLUDED.degraded`;
  }

  override async noteDrops(tx: Tx, organizationId: string, at: Date, ends: readonly DroppedEnd[]): Promise<void> {
    if (ends.length === 0) return;
    await tx.$executeRaw`
      INSERT INTO tunnel_samples AS s (step, at, tunnel_end_id, organization_id, known, degraded, drops)
      SELECT 60, ${minuteOf(at)}::timestamptz, d.id, ${organizationId}::uuid, 1, d.degraded::int, 1
      FROM unnest(${ends.map((e) => e.endId)}::uuid[], ${ends.map((e) => e.state === "DEGRADED")}::boolean[]) AS d (id, degraded)
      ON CONFLICT (step, at, tunnel_end_id) DO UPDATE SET known = 1, up = 0, degraded = EXCLUDED.degraded, drops = s.drops + 1`;
  }
}
