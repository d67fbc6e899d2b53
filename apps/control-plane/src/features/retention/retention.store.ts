import { Injectable } from "@nestjs/common";
import { Database } from "../../platform/database/database.js";
import { Prisma } from "../../platform/prisma/generated/client.js";

interface Limits {
  readonly before: Date;
  readonly keep: number;
  readonly batch: number;
}

export abstract class RetentionStore {
  abstract organizations(): Promise<string[]>;
  /** Deletes at most `batch` events: those written before the time, and the oldest beyond `keep`. Gives how many it deleted. */
  abstract deleteEvents(organizationId: string, limits: Limits): Promise<number>;
  /**
   * Deletes at most `batch` revisions that are older than their gateway's newest `keep`, but never its newest acknowledged or confirmed
   * one, nor the one that it has in force. Gives how many it deleted.
   */
  abstract deleteRevisions(
    organizationId: string,
    limits: { readonly keep: number; readonly batch: number },
  ): Promise<number>;
  /**
   * Deletes at most `batch` entries of the register of revocations: certificates that expired before the time, and what was written
   * before it and overruled since. What gateways refuse, or have to let in again, stays. Gives how many it deleted.
   */
  abstract deleteRevocations(
    organizationId: string,
    limits: { readonly before: Date; readonly batch: number },
  ): Promise<number>;
  /** Deletes at most `batch` foreign certificates that nobody recorded and that expired before the time. Gives how many it deleted. */
  abstract deleteSeenCertificates(
    organizationId: string,
    limits: { readonly before: Date; readonly batch: number },
  ): Promise<number>;
  /** Deletes at most `batch` leases that ended: before the time, and the first to end beyond `keep`. Gives how many it deleted. */
  abstract deleteLeases(organizationId: string, limits: Limits): Promise<number>;
  /**
   * Deletes at most `batch` rotations that are over, with their history: those that ended before the time, and the first to end beyond
   * `keep`. Gives how many it deleted.
   */
  abstract deleteRotations(organizationId: string, limits: Limits): Promise<number>;
  /** Deletes at most `batch` alerts that were resolved before the time. Gives how many it deleted. */
  abstract deleteAlerts(
    organizationId: string,
    limits: { readonly before: Date; readonly batch: number },
  ): Promise<number>;
  /** The same for rollouts, with their items. */
  abstract deleteRollouts(organizationId: string, limits: Limits): Promise<number>;
}

/** The first UUID of version 7 (RFC 9562 §5.7) of a millisecond: rows' ids are in the order of their writing. */
export function firstUuidOf(at: Date): string {
  const ms = at.getTime().toString(16).padStart(12, "0");
  return `${ms.slice(0, 8)}-${ms.slice(8)}-7000-8000-000000000000`;
}

/** Tables of what comes to an end, and the columns that say when it did. */
const OVER = { leases: "ended_at", rotations: "finished_at", rollouts: "finished_at" } as const;

@Injectable()
export class PrismaRetentionStore extends RetentionStore {
  constructor(private readonly database: Database) {
    super();
  }

  override async organizations(): Promise<string[]> {
    const rows = await this.database.client.organization.findMany({ select: { id: true } });
    return rows.map((row) => row.id);
  }

  /** By the id and not by the agent's clock: what an agent dates into the future goes all the same. */
  override deleteEvents(organizationId: string, { before, keep, batch }: Limits): Promise<number> {
    return this.database.transaction(
      (tx) => tx.$executeRaw`
        DELETE FROM events WHERE organization_id = ${organizationId}::uuid AND id IN (
          SELECT id FROM events
          WHERE organization_id = ${organizationId}::uuid AND (
            id < ${firstUuidOf(before)}::uuid
            OR id <= (SELECT id FROM events WHERE organization_id = ${organizationId}::uuid ORDER BY id DESC OFFSET ${keep} LIMIT 1))
          ORDER BY id LIMIT ${batch} FOR UPDATE SKIP LOCKED)`,
    );
  }

  override deleteRevisions(
    organizationId: string,
    { keep, batch }: { readonly keep: number; readonly batch: number },
  ): Promise<number> {
    return this.database.transaction(
      (tx) => tx.$executeRaw`
        DELETE FROM intent_revisions WHERE organization_id = ${organizationId}::uuid AND id IN (
          SELECT r.id FROM gateways g
          CROSS JOIN LATERAL (
            SELECT max(number) AS newest,
              max(number) FILTER (WHERE status = 'ACKED') AS acked,
              max(number) FILTER (WHERE confirmed_at IS NOT NULL) AS confirmed
            FROM intent_revisions WHERE gateway_id = g.id) k
          JOIN intent_revisions r ON r.gateway_id = g.id AND r.number <= k.newest - ${keep}
          WHERE g.organization_id = ${organizationId}::uuid
            AND r.number IS DISTINCT FROM k.acked AND r.number IS DISTINCT FROM k.confirmed
            AND r.number IS DISTINCT FROM g.acked_revision
          LIMIT ${batch} FOR UPDATE OF r SKIP LOCKED)`,
    );
  }

  override deleteRevocations(
    organizationId: string,
    { before, batch }: { readonly before: Date; readonly batch: number },
  ): Promise<number> {
    return this.database.transaction(
      (tx) => tx.$executeRaw`
        DELETE FROM revocations WHERE organization_id = ${organizationId}::uuid AND id IN (
          SELECT r.id FROM revocations r
          WHERE r.organization_id = ${organizationId}::uuid AND (
            r.not_after < ${before}
            OR r.at < ${before} AND EXISTS (
              SELECT 1 FROM revocations n
              WHERE n.organization_id = r.organization_id AND n.kind = r.kind AND n.key = r.key AND n.number > r.number))
          LIMIT ${batch} FOR UPDATE SKIP LOCKED)`,
    );
  }

  override deleteSeenCertificates(
    organizationId: string,
    { before, batch }: { readonly before: Date; readonly batch: number },
  ): Promise<number> {
    return this.database.transaction(
      (tx) => tx.$executeRaw`
        DELETE FROM certificates WHERE organization_id = ${organizationId}::uuid AND seen AND id IN (
          SELECT id FROM certificates
          WHERE organization_id = ${organizationId}::uuid AND seen AND not_after < ${before}
          LIMIT ${batch} FOR UPDATE SKIP LOCKED)`,
    );
  }

  override deleteLeases(organizationId: string, limits: Limits): Promise<number> {
    return this.#deleteOver("leases", organizationId, limits);
  }

  override deleteRotations(organizationId: string, limits: Limits): Promise<number> {
    return this.#deleteOver("rotations", organizationId, limits);
  }

  override deleteAlerts(
    organizationId: string,
    { before, batch }: { readonly before: Date; readonly batch: number },
  ): Promise<number> {
    return this.database.transaction(
      (tx) => tx.$executeRaw`
        DELETE FROM alerts WHERE organization_id = ${organizationId}::uuid AND id IN (
          SELECT id FROM alerts
          WHERE organization_id = ${organizationId}::uuid AND updated_at < ${before} AND resolved_at < ${before}
          ORDER BY updated_at LIMIT ${batch} FOR UPDATE SKIP LOCKED)`,
    );
  }

  override deleteRollouts(organizationId: string, limits: Limits): Promise<number> {
    return this.#deleteOver("rollouts", organizationId, limits);
  }

  /** Rows that are over: before the time, and the first to be so beyond `keep`. */
  #deleteOver(table: keyof typeof OVER, organizationId: string, { before, keep, batch }: Limits): Promise<number> {
    const [rows, over] = [Prisma.raw(table), Prisma.raw(OVER[table])];
    return this.database.transaction(
      (tx) => tx.$executeRaw`
        DELETE FROM ${rows} WHERE organization_id = ${organizationId}::uuid AND id IN (
          SELECT id FROM ${rows}
          WHERE organization_id = ${organizationId}::uuid AND ${over} IS NOT NULL AND (
            ${over} < ${before}
            OR ${over} <= (
              SELECT ${over} FROM ${rows} WHERE organization_id = ${organizationId}::uuid AND ${over} IS NOT NULL
              ORDER BY ${over} DESC OFFSET ${keep} LIMIT 1))
          ORDER BY ${over} LIMIT ${batch} FOR UPDATE SKIP LOCKED)`,
    );
  }
}
