import { Injectable } from "@nestjs/common";
import { Database, type Tx } from "../../platform/database/database.js";
import { ANY_ORGANIZATION } from "../../platform/database/tenancy-guard.js";
import { type PageRequest, pageQuery } from "../../platform/graphql/connection.js";
import type { IntentRevision, Prisma } from "../../platform/prisma/generated/client.js";
import type { RevisionStatus } from "../../platform/prisma/generated/enums.js";

export interface RevisionFilter {
  readonly gatewayId?: string;
  readonly status?: RevisionStatus;
}

/** Facts of a revision that an agent's answer changes. */
export type Answer = Pick<
  Prisma.IntentRevisionUncheckedUpdateManyInput,
  | "status"
  | "pushedAt"
  | "ackedAt"
  | "confirmedAt"
  | "nackedAt"
  | "revertedAt"
  | "nackCode"
  | "nackField"
  | "nackReason"
  | "nackValue"
  | "nackExpected"
>;

export type NewRevision = Omit<Prisma.IntentRevisionCreateManyInput, "organizationId">;
/** Revisions that one statement writes. */
const AT_ONCE = 100;

type Newest = Pick<IntentRevision, "gatewayId" | "number" | "hash" | "status">;
/** What no agent is given. */
const KEPT: RevisionStatus[] = ["HELD", "WITHDRAWN", "SUPERSEDED"];

/** What became of a revision. */
export type Answered = Pick<
  IntentRevision,
  "id" | "gatewayId" | "number" | "status" | "nackCode" | "nackReason" | "nackField"
>;

export interface Numbered {
  readonly gatewayId: string;
  readonly number: number;
}

export abstract class RevisionStore {
  /** The newest revision of each gateway, by gateway id. */
  abstract newest(tx: Tx, organizationId: string): Promise<ReadonlyMap<string, Newest>>;
  /**
   * One of each gateway at most; also marks the gateways' revisions that were not sent yet as superseded, but where the new one is held
   * only those that are held, too.
   */
  abstract append(tx: Tx, organizationId: string, revisions: readonly NewRevision[]): Promise<void>;
  /** The newest revision of the gateway that its agent may have; with `acked`, of those that it has in force or had. */
  abstract newestOf(gatewayId: string, acked: boolean): Promise<IntentRevision | null>;
  /** The revision that the gateway's agent runs, if that is its last good one too: it cannot go back from it by itself. */
  abstract inForce(organizationId: string, gatewayId: string): Promise<IntentRevision | null>;
  /** What each of these gateways runs, by what its agent said since it was enrolled: one that was enrolled anew has nothing. */
  abstract inForceOfEach(tx: Tx, organizationId: string, gatewayIds: readonly string[]): Promise<IntentRevision[]>;
  /** Number of the newest revision of each gateway that its agent may have and has not refused, by gateway id. */
  abstract newestGiven(tx: Tx, organizationId: string, gatewayIds: readonly string[]): Promise<Map<string, number>>;
  /** Lets agents have revisions that are held. Gives the ids of the gateways whose revision was. */
  abstract release(tx: Tx, organizationId: string, revisions: readonly Numbered[]): Promise<ReadonlySet<string>>;
  /** Keeps what is held for these gateways from them for good. */
  abstract withdraw(tx: Tx, organizationId: string, gatewayIds: readonly string[]): Promise<void>;
  /** Has the next compilation ask anew for what was withdrawn or undone. Gives of how many gateways. */
  abstract forgetWithdrawn(tx: Tx, organizationId: string): Promise<number>;
  abstract of(tx: Tx, organizationId: string, revisions: readonly Numbered[]): Promise<IntentRevision[]>;
  /** As `of`, without bodies. */
  abstract answersTo(tx: Tx, organizationId: string, revisions: readonly Numbered[]): Promise<Answered[]>;
  /** Undefined when there is no such revision, or it stands in none of `from`. */
  abstract answer(
    tx: Tx,
    gatewayId: string,
    number: number,
    from: readonly RevisionStatus[],
    answer: Answer,
  ): Promise<{ organizationId: string } | undefined>;
  /** Newest first. */
  abstract page(organizationId: string, request: PageRequest, filter: RevisionFilter): Promise<IntentRevision[]>;
  /** Of each of these gateways the newest one. */
  abstract newestOfEach(organizationId: string, gatewayIds: readonly string[], tx?: Tx): Promise<IntentRevision[]>;
}

@Injectable()
export class PrismaRevisionStore extends RevisionStore {
  constructor(private readonly database: Database) {
    super();
  }

  override async newest(tx: Tx, organizationId: string) {
    const rows = await tx.$queryRaw<Newest[]>`
      SELECT DISTINCT ON (gateway_id) gateway_id AS "gatewayId", number, hash, status::text AS status
      FROM intent_revisions WHERE organization_id = ${organizationId}::uuid ORDER BY gateway_id, number DESC`;
    return new Map(rows.map((row) => [row.gatewayId, row]));
  }

  override async append(tx: Tx, organizationId: string, revisions: readonly NewRevision[]): Promise<void> {
    const supersede = (some: readonly NewRevision[], status: RevisionStatus[]) =>
      tx.intentRevision.updateMany({
        where: { organizationId, gatewayId: { in: some.map((r) => r.gatewayId) }, status: { in: status } },
        data: { status: "SUPERSEDED" },
      });
    for (let from = 0; from < revisions.length; from += AT_ONCE) {
      const some = revisions.slice(from, from + AT_ONCE);
      const held = some.filter((revision) => revision.status === "HELD");
      if (held.length < some.length)
        await supersede(
          some.filter((revision) => revision.status !== "HELD"),
          ["PENDING", "HELD"],
        );
      if (held.length > 0) await supersede(held, ["HELD"]);
      await tx.intentRevision.createMany({ data: some.map((revision) => ({ ...revision, organizationId })) });
    }
  }

  override newestOf(gatewayId: string, acked: boolean): Promise<IntentRevision | null> {
    return this.database.client.intentRevision.findFirst({
      where: { organizationId: ANY_ORGANIZATION, gatewayId, status: acked ? "ACKED" : { notIn: KEPT } },
      orderBy: { number: "desc" },
    });
  }

  override async inForce(organizationId: string, gatewayId: string): Promise<IntentRevision | null> {
    const { client } = this.database;
    const where = { organizationId, id: gatewayId };
    const gateway = await client.gateway.findUnique({ where, select: { ackedRevision: true } });
    if (!gateway?.ackedRevision) return null;
    const revision = { organizationId, gatewayId, number: gateway.ackedRevision, confirmedAt: { not: null } };
    return client.intentRevision.findFirst({ where: revision });
  }

  override async inForceOfEach(tx: Tx, organizationId: string, gatewayIds: readonly string[]) {
    if (gatewayIds.length === 0) return [];
    const where = { organizationId, id: { in: [...gatewayIds] }, ackedRevision: { not: null } };
    const select = { id: true, ackedRevision: true, enrolledAt: true } as const;
    const gateways = new Map((await tx.gateway.findMany({ where, select })).map((gateway) => [gateway.id, gateway]));
    const acked = [...gateways.values()].map(({ id, ackedRevision }) => ({
      gatewayId: id,
      number: ackedRevision ?? 0,
    }));
    return (await this.of(tx, organizationId, acked)).filter(({ gatewayId, ackedAt }) => {
      const enrolledAt = gateways.get(gatewayId)?.enrolledAt;
      return ackedAt !== null && (!enrolledAt || ackedAt > enrolledAt);
    });
  }

  override async newestGiven(tx: Tx, organizationId: string, gatewayIds: readonly string[]) {
    const rows = await tx.intentRevision.groupBy({
      by: ["gatewayId"],
      where: { organizationId, gatewayId: { in: [...gatewayIds] }, status: { notIn: [...KEPT, "NACKED", "REVERTED"] } },
      _max: { number: true },
    });
    return new Map(rows.map((row) => [row.gatewayId, row._max.number ?? 0]));
  }

  override async release(tx: Tx, organizationId: string, revisions: readonly Numbered[]) {
    const found = await this.answersTo(tx, organizationId, revisions);
    const rows = await tx.intentRevision.updateManyAndReturn({
      where: { organizationId, id: { in: found.map((row) => row.id) }, status: "HELD" },
      data: { status: "PENDING" },
      select: { gatewayId: true },
    });
    return new Set(rows.map((row) => row.gatewayId));
  }

  override async withdraw(tx: Tx, organizationId: string, gatewayIds: readonly string[]): Promise<void> {
    await tx.intentRevision.updateMany({
      where: { organizationId, gatewayId: { in: [...gatewayIds] }, status: "HELD" },
      data: { status: "WITHDRAWN" },
    });
  }

  override forgetWithdrawn(tx: Tx, organizationId: string): Promise<number> {
    return tx.$executeRaw`
      UPDATE intent_revisions SET hash = '' WHERE organization_id = ${organizationId}::uuid AND hash <> ''
        AND (status IN ('WITHDRAWN', 'NACKED', 'REVERTED') OR restores IS NOT NULL)
        AND id IN (SELECT DISTINCT ON (gateway_id) id FROM intent_revisions
          WHERE organization_id = ${organizationId}::uuid ORDER BY gateway_id, number DESC)`;
  }

  override async of(tx: Tx, organizationId: string, revisions: readonly Numbered[]): Promise<IntentRevision[]> {
    const ids = (await this.answersTo(tx, organizationId, revisions)).map((row) => row.id);
    return ids.length === 0 ? [] : tx.intentRevision.findMany({ where: { organizationId, id: { in: ids } } });
  }

  override async answersTo(tx: Tx, organizationId: string, revisions: readonly Numbered[]): Promise<Answered[]> {
    if (revisions.length === 0) return [];
    return tx.$queryRaw<Answered[]>`
      SELECT r.id::text AS id, r.gateway_id::text AS "gatewayId", r.number, r.status::text AS status,
        r.nack_code AS "nackCode", r.nack_reason AS "nackReason", r.nack_field AS "nackField"
      FROM unnest(
        ${revisions.map((r) => r.gatewayId)}::uuid[], ${revisions.map((r) => r.number)}::int[]) AS w (gateway_id, number)
      JOIN intent_revisions r ON r.gateway_id = w.gateway_id AND r.number = w.number
      WHERE r.organization_id = ${organizationId}::uuid`;
  }

  override async answer(tx: Tx, gatewayId: string, number: number, from: readonly RevisionStatus[], data: Answer) {
    const rows = await tx.intentRevision.updateManyAndReturn({
      where: { organizationId: ANY_ORGANIZATION, gatewayId, number, status: { in: [...from] } },
      data,
      select: { organizationId: true },
    });
    return rows[0];
  }

  override page(organizationId: string, request: PageRequest, filter: RevisionFilter): Promise<IntentRevision[]> {
    const { where, ...rest } = pageQuery(request, "desc");
    return this.database.client.intentRevision.findMany({ where: { organizationId, ...filter, ...where }, ...rest });
  }

  override async newestOfEach(
    organizationId: string,
    gatewayIds: readonly string[],
    tx: Tx = this.database.client,
  ): Promise<IntentRevision[]> {
    if (gatewayIds.length === 0) return [];
    const newest = await tx.$queryRaw<{ id: string }[]>`
      SELECT DISTINCT ON (gateway_id) id FROM intent_revisions
      WHERE organization_id = ${organizationId}::uuid AND gateway_id = ANY(${gatewayIds}::uuid[])
      ORDER BY gateway_id, number DESC`;
    return tx.intentRevision.findMany({ where: { organizationId, id: { in: newest.map((row) => row.id) } } });
  }
}
