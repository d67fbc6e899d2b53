import { Injectable } from "@nestjs/common";
import { Database, type Tx } from "../../platform/database/database.js";
import { type PageRequest, pageQuery } from "../../platform/graphql/connection.js";
import type { Prisma, Revocation } from "../../platform/prisma/generated/client.js";
import type { RevocationSubject } from "../../platform/prisma/generated/enums.js";

export type NewRevocation = Omit<Prisma.RevocationCreateManyInput, "id" | "organizationId" | "number" | "at">;

/** What an agent says that it has applied. */
export interface Applied {
  readonly organizationId: string;
  readonly gatewayId: string;
  readonly upTo: number;
  readonly ended: readonly { readonly number: number; readonly endedSas: number }[];
  /** When that was heard. */
  readonly at: Date;
}

export interface Confirmed {
  readonly organizationId: string;
  readonly revocationId: string;
  readonly gatewayId: string;
  readonly siteId: string;
  readonly number: number;
  readonly name: string;
  readonly confirmedAt: Date;
  readonly endedSas: number | null;
}

/** One revocation at one gateway. */
export interface Telling {
  /** The gateway's: each is told once. */
  readonly id: string;
  readonly revocationId: string;
  readonly confirmedAt: Date | null;
  readonly endedSas: number | null;
  /** The gateway has a stream now. */
  readonly connected: boolean;
}

/** One revocation at all gateways that have to hear of it. */
export interface Progress {
  readonly revocationId: string;
  readonly gateways: number;
  readonly confirmed: number;
  /** Not confirmed, and without a stream. */
  readonly away: number;
  readonly endedSas: number;
  /** The last confirmation; null: none yet. */
  readonly lastAt: Date | null;
}

export abstract class RevocationStore {
  /** Numbers them and notes for each which gateways have to hear of it. */
  abstract append(tx: Tx, organizationId: string, entries: readonly NewRevocation[]): Promise<Revocation[]>;
  abstract last(tx: Tx, organizationId: string, kind: RevocationSubject, key: string): Promise<Revocation | undefined>;
  /** Number of the newest entry. */
  abstract newest(organizationId: string): Promise<number>;
  /** Entries between, without the first number and with the second, each the last of its subject, by number. */
  abstract between(organizationId: string, after: number, upTo: number, take: number): Promise<Revocation[]>;
  /** Gives those that were not confirmed before. */
  abstract confirm(tx: Tx, applied: readonly Applied[]): Promise<Confirmed[]>;
  abstract byIds(organizationId: string, ids: readonly string[]): Promise<Revocation[]>;
  /** Newest first. */
  abstract page(organizationId: string, request: PageRequest): Promise<Revocation[]>;
  /** The last entry about each. */
  abstract ofSubjects(organizationId: string, subjectIds: readonly string[]): Promise<Revocation[]>;
  /** A page of each, by gateway. */
  abstract tellings(organizationId: string, revocationIds: readonly string[], request: PageRequest): Promise<Telling[]>;
  /** Nothing of those that no gateway had to hear of. */
  abstract progress(organizationId: string, revocationIds: readonly string[]): Promise<Progress[]>;
}

@Injectable()
export class PrismaRevocationStore extends RevocationStore {
  constructor(private readonly database: Database) {
    super();
  }

  override async append(tx: Tx, organizationId: string, entries: readonly NewRevocation[]): Promise<Revocation[]> {
    if (entries.length === 0) return [];
    // The row stays locked until the commit, so that numbers have the order of commits.
    const { lastRevocation } = await tx.organization.update({
      where: { id: organizationId },
      data: { lastRevocation: { increment: entries.length } },
      select: { lastRevocation: true },
    });
    const first = lastRevocation - entries.length + 1;
    const rows = await tx.revocation.createManyAndReturn({
      data: entries.map((entry, i) => ({ ...entry, organizationId, number: first + i })),
    });
    await tx.$executeRaw`
      INSERT INTO revocation_tellings (revocation_id, gateway_id, organization_id, number)
      SELECT r.id, g.id, r.organization_id, r.number FROM revocations r
      JOIN gateways g ON g.organization_id = r.organization_id AND g.state = 'ENROLLED'
      WHERE r.organization_id = ${organizationId}::uuid AND r.number >= ${first}`;
    return rows.toSorted((a, b) => a.number - b.number);
  }

  override async last(tx: Tx, organizationId: string, kind: RevocationSubject, key: string) {
    const row = await tx.revocation.findFirst({
      where: { organizationId, kind, key },
      orderBy: { number: "desc" },
    });
    return row ?? undefined;
  }

  override async newest(organizationId: string): Promise<number> {
    const row = await this.database.client.organization.findUnique({
      where: { id: organizationId },
      select: { lastRevocation: true },
    });
    return row?.lastRevocation ?? 0;
  }

  override async between(organizationId: string, after: number, upTo: number, take: number): Promise<Revocation[]> {
    const ids = await this.database.client.$queryRaw<{ id: string }[]>`
      SELECT r.id FROM revocations r
      WHERE r.organization_id = ${organizationId}::uuid AND r.number > ${after} AND r.number <= ${upTo}
        AND (r.not_after IS NULL OR r.not_after > now())
        AND NOT EXISTS (
          SELECT 1 FROM revocations n WHERE n.organization_id = r.organization_id AND n.kind = r.kind
            AND n.key = r.key AND n.number > r.number AND n.number <= ${upTo})
      ORDER BY r.number LIMIT ${take}`;
    return this.database.client.revocation.findMany({
      where: { organizationId, id: { in: ids.map((row) => row.id) } },
      orderBy: { number: "asc" },
    });
  }

  override async confirm(tx: Tx, applied: readonly Applied[]): Promise<Confirmed[]> {
    const ended = applied.flatMap(({ gatewayId, ended }) => ended.map((e) => ({ gatewayId, ...e })));
    await tx.$executeRaw`
      UPDATE revocation_tellings t SET ended_sas = v.ended
      FROM unnest(
        ${ended.map((e) => e.gatewayId)}::uuid[], ${ended.map((e) => e.number)}::int[], ${ended.map((e) => e.endedSas)}::int[]
      ) AS v (gateway_id, number, ended)
      WHERE t.gateway_id = v.gateway_id AND t.number = v.number AND t.ended_sas IS NULL
        AND t.organization_id = ANY (${applied.map((a) => a.organizationId)}::uuid[])`;
    return tx.$queryRaw<Confirmed[]>`
      UPDATE revocation_tellings t SET confirmed_at = v.at
      FROM unnest(
        ${applied.map((a) => a.gatewayId)}::uuid[], ${applied.map((a) => a.upTo)}::int[],
        ${applied.map((a) => a.at.toISOString())}::timestamptz[]
      ) AS v (gateway_id, up_to, at), revocations r, gateways g
      WHERE t.gateway_id = v.gateway_id AND t.number <= v.up_to AND t.confirmed_at IS NULL
        AND r.id = t.revocation_id AND g.id = t.gateway_id
        AND t.organization_id = ANY (${applied.map((a) => a.organizationId)}::uuid[])
      RETURNING t.organization_id AS "organizationId", t.revocation_id AS "revocationId", t.gateway_id AS "gatewayId",
        g.site_id AS "siteId", t.number, r.name, t.confirmed_at AS "confirmedAt", t.ended_sas AS "endedSas"`;
  }

  override byIds(organizationId: string, ids: readonly string[]): Promise<Revocation[]> {
    return this.database.client.revocation.findMany({ where: { organizationId, id: { in: [...ids] } } });
  }

  override page(organizationId: string, request: PageRequest): Promise<Revocation[]> {
    const { where, ...rest } = pageQuery(request, "desc");
    return this.database.client.revocation.findMany({ where: { organizationId, ...where }, ...rest });
  }

  override ofSubjects(organizationId: string, subjectIds: readonly string[]): Promise<Revocation[]> {
    return this.database.client.revocation.findMany({
      where: { organizationId, subjectId: { in: [...subjectIds] } },
      orderBy: { number: "desc" },
      distinct: ["subjectId"],
    });
  }

  override tellings(
    organizationId: string,
    revocationIds: readonly string[],
    { after, take }: PageRequest,
  ): Promise<Telling[]> {
    return this.database.client.$queryRaw<Telling[]>`
      SELECT t.gateway_id AS id, t.revocation_id AS "revocationId", t.confirmed_at AS "confirmedAt", t.ended_sas AS "endedSas",
        EXISTS (SELECT 1 FROM agent_sessions s WHERE s.gateway_id = t.gateway_id) AS connected
      FROM unnest(${[...revocationIds]}::uuid[]) AS r (id)
      CROSS JOIN LATERAL (
        SELECT * FROM revocation_tellings
        WHERE organization_id = ${organizationId}::uuid AND revocation_id = r.id
          AND (${after ?? null}::uuid IS NULL OR gateway_id > ${after ?? null}::uuid)
        ORDER BY gateway_id LIMIT ${take}) t
      ORDER BY t.revocation_id, t.gateway_id`;
  }

  override progress(organizationId: string, revocationIds: readonly string[]): Promise<Progress[]> {
    return this.database.client.$queryRaw<Progress[]>`
      SELECT t.revocation_id AS "revocationId", count(*)::int AS gateways, count(t.confirmed_at)::int AS confirmed,
        count(*) FILTER (WHERE t.confirmed_at IS NULL AND s.gateway_id IS NULL)::int AS away,
        coalesce(sum(t.ended_sas), 0)::int AS "endedSas", max(t.confirmed_at) AS "lastAt"
      FROM revocation_tellings t LEFT JOIN agent_sessions s ON s.gateway_id = t.gateway_id
      WHERE t.organization_id = ${organizationId}::uuid AND t.revocation_id = ANY (${[...revocationIds]}::uuid[])
      GROUP BY t.revocation_id`;
  }
}
