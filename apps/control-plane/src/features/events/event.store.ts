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
  abstract append(tx: Tx, events: Prisma.EventCreateManyInput[]): Promise<ReadonlySet<string | null>>;
  /** Newest first. */
  abstract page(organizationId: string, request: PageRequest, filter: EventFilter): Promise<Event[]>;
}

@Injectable()
export class PrismaEventStore extends EventStore {
  constructor(private readonly database: Database) {
    super();
  }

  override async append(tx: Tx, data: Prisma.EventCreateManyInput[]): Promise<ReadonlySet<string | null>> {
    const select = { sourceId: true } as const;
    const rows = await tx.event.createManyAndReturn({ data, skipDuplicates: true, select });
    return new Set(rows.map((row) => row.sourceId));
  }

  override page(organizationId: string, request: PageRequest, filter: EventFilter): Promise<Event[]> {
    const { where, ...rest } = pageQuery(request, "desc");
    return this.database.client.event.findMany({ where: { organizationId, ...filter, ...where }, ...rest });
  }
}
