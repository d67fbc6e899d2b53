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

type Newest = Pick<IntentRevision, "gatewayId" | "number" | "hash">;

export abstract class RevisionStore {
  /** The newest revision of each gateway, by gateway id. */
  abstract newest(tx: Tx, organizationId: string): Promise<ReadonlyMap<string, Newest>>;
  /** One of each gateway at most; also marks the gateways' revisions that were not sent yet as superseded. */
  abstract append(tx: Tx, organizationId: string, revisions: readonly NewRevision[]): Promise<void>;
  /** The newest revision of the gateway; with `acked`, of those that its agent has in force or had. */
  abstract newestOf(gatewayId: string, acked: boolean): Promise<IntentRevision | null>;
  /** The revision that the gateway's agent runs, if that is its last good one too: it cannot go back from it by itself. */
  abstract inForce(organizationId: string, gatewayId: string): Promise<IntentRevision | null>;
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
      SELECT DISTINCT ON (gateway_id) gateway_id AS "gatewayId", number, hash
      FROM intent_revisions WHERE organization_id = ${organizationId}::uuid ORDER BY gateway_id, number DESC`;
    return new Map(rows.map((row) => [row.gatewayId, row]));
  }

  override async append(tx: Tx, organizationId: string, revisions: readonly NewRevision[]): Promise<void> {
    for (let from = 0; from < revisions.length; from += AT_ONCE) {
      const some = revisions.slice(from, from + AT_ONCE);
      const gatewayId = { in: some.map((revision) => revision.gatewayId) };
      await tx.intentRevision.updateMany({
        where: { organizationId, gatewayId, status: "PENDING" },
        data: { status: "SUPERSEDED" },
      });
      await tx.intentRevision.createMany({ data: some.map((revision) => ({ ...revision, organizationId })) });
    }
  }

  override newestOf(gatewayId: string, acked: boolean): Promise<IntentRevision | null> {
    return this.database.client.intentRevision.findFirst({
      where: { organizationId: ANY_ORGANIZATION, gatewayId, ...(acked ? { status: "ACKED" } : {}) },
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
