import { randomUUIDv7 } from "node:crypto";
import { Injectable } from "@nestjs/common";
import { Database, type Tx } from "../../platform/database/database.js";
import { type PageRequest, pageQuery } from "../../platform/graphql/connection.js";
import type { Event, Prisma } from "../../platform/prisma/generated/client.js";
import type { Severity } from "../../platform/prisma/generated/enums.js";

export interface EventFilter {
  readonly gatewayId?: string;
  readonly tunnelId?: string;
  readonly siteId?: string;
  readonly severity?: Severity;
}

export abstract class EventStore {
  /** Of two of one gateway with one source id, the first stays. Gives the source ids of those that are new. */
  abstract append(tx: Tx, events: readonly Prisma.EventCreateManyInput[]): Promise<ReadonlySet<string | null>>;
  /** Newest first. */
  abstract page(organizationId: string, request: PageRequest, filter: EventFilter): Promise<Event[]>;
}

@Injectable()
export class PrismaEventStore extends EventStore {
  constructor(private readonly database: Database) {
    super();
  }

  /** One statement, and the same whatever their number: a fleet tells a thousand at a time, for which Prisma would plan a tenth of a second. */
  override async append(tx: Tx, data: readonly Prisma.EventCreateManyInput[]): Promise<ReadonlySet<string | null>> {
    if (data.length === 0) return new Set();
    // Pages are read by id: those of one moment keep their order.
    const ids = data.map(() => randomUUIDv7()).sort();
    const all = data.map(({ id, at, facts, ...event }, i) => ({
      ...event,
      id: id ?? ids[i],
      at: at ?? new Date(),
      facts: facts ?? {},
    }));
    const rows = await tx.$queryRaw<{ sourceId: string | null }[]>`
      INSERT INTO events (id, organization_id, kind, severity, message, facts, site_id, gateway_id, tunnel_id, source_id, at)
      SELECT e.id, e."organizationId", e.kind, e.severity, e.message, e.facts, e."siteId", e."gatewayId", e."tunnelId", e."sourceId", e.at
      FROM jsonb_to_recordset(${JSON.stringify(all, wellFormed)}::jsonb) AS e (
        id uuid, "organizationId" uuid, kind text, severity severity, message text, facts jsonb,
        "siteId" uuid, "gatewayId" uuid, "tunnelId" uuid, "sourceId" text, at timestamptz)
      ON CONFLICT DO NOTHING RETURNING source_id AS "sourceId"`;
    return new Set(rows.map((row) => row.sourceId));
  }

  override page(organizationId: string, request: PageRequest, filter: EventFilter): Promise<Event[]> {
    const { where, ...rest } = pageQuery(request, "desc");
    return this.database.client.event.findMany({ where: { organizationId, ...filter, ...where }, ...rest });
  }
}

/** Texts are cut at a length, which may be in the middle of a surrogate pair; PostgreSQL takes no half of one. */
const wellFormed = (_: string, value: unknown) => (typeof value === "string" ? value.toWellFormed() : value);
