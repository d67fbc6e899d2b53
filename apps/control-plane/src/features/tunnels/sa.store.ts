import { randomUUIDv7 } from "node:crypto";
import { Injectable } from "@nestjs/common";
import type { Tx } from "../../platform/database/database.js";
import type { ChildSaReport, IkeSaReport } from "./tunnel-state.service.js";

export interface SaOfEnd {
  readonly endId: string;
  readonly mark: string;
  readonly sa: IkeSaReport;
}

export interface SaNameOfEnd {
  readonly endId: string;
  readonly initiatorSpi: string;
  readonly responderSpi: string;
}

/** Marks of reports by the ids of ends. */
export type Marks = ReadonlyMap<string, string | undefined>;

const SETTLED_AT_ONCE = 2_000;

interface ChildRow extends ChildSaReport {
  readonly id: string;
  readonly endId: string;
  readonly ikeSaId: string;
}

/** The rows of IKE SAs and their CHILD SAs, which agents' reports write one by one. */
export abstract class SaStore {
  /** Gives the rows' ids, in order. Counters of CHILD SAs stay, also when one moves to another IKE SA of the end. No SA may be named twice. */
  abstract write(tx: Tx, organizationId: string, sas: readonly SaOfEnd[]): Promise<string[]>;
  abstract remove(tx: Tx, organizationId: string, names: readonly SaNameOfEnd[]): Promise<void>;
  /**
   * Removes IKE SAs of these ends, by id, that bear another mark; of an end without one, any. Not more than a transaction has time for:
   * false when there may be others.
   */
  abstract settle(tx: Tx, organizationId: string, marks: Marks): Promise<boolean>;
  /** IKE SAs and CHILD SAs of these ends. */
  abstract count(tx: Tx, organizationId: string, endIds: readonly string[]): Promise<number>;
  /** Of each, in order: how many rows it and its CHILD SAs have, 0 when it is new. */
  abstract rowsOf(tx: Tx, organizationId: string, sas: readonly SaOfEnd[]): Promise<number[]>;
}

@Injectable()
export class PrismaSaStore extends SaStore {
  override async write(tx: Tx, organizationId: string, sas: readonly SaOfEnd[]): Promise<string[]> {
    if (sas.length === 0) return [];
    const rows = sas.map(({ endId, mark, sa: { childSas: _, ...sa } }) => ({ id: randomUUIDv7(), endId, mark, ...sa }));
    const written = await tx.$queryRaw<({ id: string } & SaNameOfEnd)[]>`
      INSERT INTO ike_sas (id, organization_id, tunnel_end_id, report_mark, initiator_spi, responder_spi, version, initiator, state,
        local_endpoint, remote_endpoint, local_identity, remote_identity, proposal, nat_local, nat_remote, established_at,
        next_rekey_at, next_reauth_at, local_virtual, remote_virtual, user_name, key_id)
      SELECT t.id, ${organizationId}::uuid, t."endId", t.mark, t."initiatorSpi", t."responderSpi", t.version, t.initiator, t.state,
        t."localEndpoint", t."remoteEndpoint", t."localIdentity", t."remoteIdentity", t.proposal, t."natLocal", t."natRemote",
        t."establishedAt", t."nextRekeyAt", t."nextReauthAt", t."localVirtual", t."remoteVirtual", t."user",
        t."keyId"
      FROM jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) AS t (id uuid, "endId" uuid, mark uuid, "initiatorSpi" text,
        "responderSpi" text, version int, initiator boolean, state text, "localEndpoint" text, "remoteEndpoint" text,
        "localIdentity" text, "remoteIdentity" text, proposal text, "natLocal" boolean, "natRemote" boolean,
        "establishedAt" timestamptz, "nextRekeyAt" timestamptz, "nextReauthAt" timestamptz, "localVirtual" text[],
        "remoteVirtual" text[], "user" text, "keyId" text)
      ON CONFLICT (tunnel_end_id, initiator_spi, responder_spi) DO UPDATE SET report_mark = EXCLUDED.report_mark,
        version = EXCLUDED.version, initiator = EXCLUDED.initiator, state = EXCLUDED.state,
        local_endpoint = EXCLUDED.local_endpoint, remote_endpoint = EXCLUDED.remote_endpoint,
        local_identity = EXCLUDED.local_identity, remote_identity = EXCLUDED.remote_identity, proposal = EXCLUDED.proposal,
        nat_local = EXCLUDED.nat_local, nat_remote = EXCLUDED.nat_remote, established_at = EXCLUDED.established_at,
        next_rekey_at = EXCLUDED.next_rekey_at, next_reauth_at = EXCLUDED.next_reauth_at,
        local_virtual = EXCLUDED.local_virtual, remote_virtual = EXCLUDED.remote_virtual, user_name = EXCLUDED.user_name,
        key_id = EXCLUDED.key_id
      RETURNING id::text AS id, tunnel_end_id::text AS "endId", initiator_spi AS "initiatorSpi", responder_spi AS "responderSpi"`;
    const byName = new Map(written.map((row) => [nameOf(row), row.id]));
    const ids = sas.map(({ endId, sa }) => byName.get(nameOf({ ...sa, endId })) as string);
    await this.#writeChildren(tx, organizationId, sas, ids);
    return ids;
  }

  async #writeChildren(tx: Tx, organizationId: string, sas: readonly SaOfEnd[], ids: readonly string[]): Promise<void> {
    const children = sas.flatMap(({ endId, sa }, i) =>
      sa.childSas.map((child) => ({ id: randomUUIDv7(), endId, ikeSaId: ids[i] ?? "", ...child })),
    );
    const written = children.length > 0 ? await this.#upsertChildren(tx, organizationId, children) : [];
    // Fenced: without statistics the planner would rather read all of the organization's than those of each IKE SA.
    await tx.$executeRaw`
      DELETE FROM child_sas WHERE id = ANY(ARRAY(
        SELECT c.id FROM unnest(${ids}::uuid[]) AS w (id)
        CROSS JOIN LATERAL (SELECT id, organization_id FROM child_sas WHERE ike_sa_id = w.id OFFSET 0) c
        WHERE c.organization_id = ${organizationId}::uuid AND c.id <> ALL(${written}::uuid[])))`;
  }

  /** Gives the ids of their rows. */
  async #upsertChildren(tx: Tx, organizationId: string, children: readonly ChildRow[]): Promise<string[]> {
    const rows = await tx.$queryRaw<{ id: string }[]>`
      INSERT INTO child_sas (id, organization_id, ike_sa_id, name, protocol, mode, inbound_spi, outbound_spi, local_selectors,
        remote_selectors, proposal, encapsulated, established_at, next_rekey_at, expires_at, bytes_in, bytes_out, packets_in,
        packets_out, errors_in, counted_at, last_packet_in_at)
      SELECT t.id, ${organizationId}::uuid, t."ikeSaId", t.name, t.protocol, t.mode, t."inboundSpi", t."outboundSpi",
        t."localSelectors", t."remoteSelectors", t.proposal, t.encapsulated, t."establishedAt", t."nextRekeyAt", t."expiresAt",
        coalesce(o.bytes_in, 0), coalesce(o.bytes_out, 0), coalesce(o.packets_in, 0), coalesce(o.packets_out, 0),
        coalesce(o.errors_in, 0), o.counted_at, o.last_packet_in_at
      FROM jsonb_to_recordset(${JSON.stringify(children)}::jsonb) AS t (id uuid, "endId" uuid, "ikeSaId" uuid, name text,
        protocol text, mode text, "inboundSpi" text, "outboundSpi" text, "localSelectors" text[], "remoteSelectors" text[],
        proposal text, encapsulated boolean, "establishedAt" timestamptz, "nextRekeyAt" timestamptz, "expiresAt" timestamptz)
      LEFT JOIN LATERAL (
        SELECT c.* FROM child_sas c
        WHERE c.inbound_spi = t."inboundSpi" AND c.organization_id = ${organizationId}::uuid
          -- Not a join: that reads all SAs of the end for each child while the tables' statistics are older than their rows.
          AND (SELECT i.tunnel_end_id FROM ike_sas i WHERE i.id = c.ike_sa_id) = t."endId"
        ORDER BY c.counted_at DESC NULLS LAST LIMIT 1
      ) o ON true
      ON CONFLICT (ike_sa_id, inbound_spi, outbound_spi) DO UPDATE SET name = EXCLUDED.name, protocol = EXCLUDED.protocol,
        mode = EXCLUDED.mode, local_selectors = EXCLUDED.local_selectors, remote_selectors = EXCLUDED.remote_selectors,
        proposal = EXCLUDED.proposal, encapsulated = EXCLUDED.encapsulated, established_at = EXCLUDED.established_at,
        next_rekey_at = EXCLUDED.next_rekey_at, expires_at = EXCLUDED.expires_at
      RETURNING id::text AS id`;
    return rows.map((row) => row.id);
  }

  override async remove(tx: Tx, organizationId: string, names: readonly SaNameOfEnd[]): Promise<void> {
    if (names.length === 0) return;
    await tx.$executeRaw`
      DELETE FROM ike_sas i
      USING unnest(${names.map((n) => n.endId)}::uuid[], ${names.map((n) => n.initiatorSpi)}::text[],
        ${names.map((n) => n.responderSpi)}::text[]) AS g (end_id, initiator_spi, responder_spi)
      WHERE i.tunnel_end_id = g.end_id AND i.initiator_spi = g.initiator_spi AND i.responder_spi = g.responder_spi
        AND i.organization_id = ${organizationId}::uuid`;
  }

  override async settle(tx: Tx, organizationId: string, marks: Marks): Promise<boolean> {
    if (marks.size === 0) return true;
    const removed = await tx.$executeRaw`
      DELETE FROM ike_sas WHERE organization_id = ${organizationId}::uuid AND id = ANY(ARRAY(
        SELECT i.id FROM unnest(${[...marks.keys()]}::uuid[], ${[...marks.values()].map((m) => m ?? null)}::uuid[]) AS s (end_id, mark)
        JOIN ike_sas i ON i.tunnel_end_id = s.end_id AND (s.mark IS NULL OR i.report_mark IS DISTINCT FROM s.mark)
        WHERE i.organization_id = ${organizationId}::uuid LIMIT ${SETTLED_AT_ONCE}))`;
    return removed < SETTLED_AT_ONCE;
  }

  override async count(tx: Tx, organizationId: string, endIds: readonly string[]): Promise<number> {
    const [row] = await tx.$queryRaw<{ n: number }[]>`
      SELECT (count(DISTINCT i.id) + count(c.id))::int AS n
      FROM ike_sas i LEFT JOIN child_sas c ON c.ike_sa_id = i.id
      WHERE i.tunnel_end_id = ANY(${endIds}::uuid[]) AND i.organization_id = ${organizationId}::uuid`;
    return row?.n ?? 0;
  }

  override async rowsOf(tx: Tx, organizationId: string, sas: readonly SaOfEnd[]): Promise<number[]> {
    const rows = await tx.$queryRaw<{ n: number }[]>`
      SELECT coalesce((
        SELECT 1 + (SELECT count(*) FROM child_sas c WHERE c.ike_sa_id = i.id)
        FROM ike_sas i
        WHERE i.tunnel_end_id = s.end_id AND i.initiator_spi = s.initiator_spi AND i.responder_spi = s.responder_spi
          AND i.organization_id = ${organizationId}::uuid), 0)::int AS n
      FROM unnest(${sas.map((s) => s.endId)}::uuid[], ${sas.map((s) => s.sa.initiatorSpi)}::text[],
        ${sas.map((s) => s.sa.responderSpi)}::text[]) WITH ORDINALITY AS s (end_id, initiator_spi, responder_spi, place)
      ORDER BY s.place`;
    return rows.map((row) => row.n);
  }
}

const nameOf = ({ endId, initiatorSpi, responderSpi }: SaNameOfEnd) => `${endId} ${initiatorSpi} ${responderSpi}`;
