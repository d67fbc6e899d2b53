import { Injectable } from "@nestjs/common";
import type { Repeated } from "@sallyport/base";
import { Database, type Tx } from "../../platform/database/database.js";
import { ANY_ORGANIZATION } from "../../platform/database/tenancy-guard.js";
import { type Connection, type PageArgs, page } from "../../platform/graphql/connection.js";
import type { Event, Prisma } from "../../platform/prisma/generated/client.js";
import type { Severity } from "../../platform/prisma/generated/enums.js";
import { systemContext, type TenantContext } from "../../platform/tenancy.js";
import { AuditService } from "../audit/audit.service.js";
import { type Refusal, refusalEntry } from "../audit/refusal.js";
import { type EventFilter, EventStore } from "./event.store.js";

export interface NewEvent {
  /** `area/name`. */
  readonly kind: string;
  readonly severity: Severity;
  readonly message: string;
  readonly facts?: Readonly<Record<string, string>>;
  readonly siteId?: string | undefined;
  readonly gatewayId?: string | undefined;
  /** The row's id, not the key. */
  readonly tunnelId?: string | undefined;
  /** Given by the agent: of two events of a gateway with the same one, the first stays. */
  readonly sourceId?: string | undefined;
  /** Absent: now. */
  readonly at?: Date;
}

/** What an agent tells; `tunnelKey` is the connection's id in its intent. */
export interface AgentEvent extends Omit<NewEvent, "gatewayId" | "siteId" | "tunnelId"> {
  readonly sourceId: string;
  readonly tunnelKey: string | undefined;
  /** Whom the gateway has refused, undefined: several, too many to tell apart. */
  readonly refusal?: { readonly who: string | undefined; readonly remote: string; readonly times: number } | undefined;
  /** Set when the refusal is to be audited. */
  readonly audit?: Repeated | undefined;
}

const MAX_TEXT = 2_000;

/** The fleet's diary. */
@Injectable()
export class EventService {
  constructor(
    private readonly database: Database,
    private readonly store: EventStore,
    private readonly audit: AuditService,
  ) {}

  async record(tx: Tx, organizationId: string, ...events: readonly NewEvent[]): Promise<void> {
    await this.store.append(tx, rowsOf(organizationId, events));
  }

  /** Events of a gateway's agent, in a transaction of their own. Of an unknown gateway, none are kept. */
  async fromAgent(gatewayId: string, events: readonly AgentEvent[]): Promise<void> {
    if (events.length === 0) return;
    await this.database.transaction(async (tx) => {
      const gateway = await tx.gateway.findUnique({
        where: { organizationId: ANY_ORGANIZATION, id: gatewayId },
        select: { organizationId: true, siteId: true, name: true },
      });
      if (!gateway) return;
      const { organizationId, siteId, name } = gateway;
      const keys = [...new Set(events.flatMap((e) => e.tunnelKey ?? []))];
      const rows = await tx.tunnel.findMany({
        where: { organizationId, key: { in: keys } },
        select: { id: true, key: true },
      });
      const tunnels = new Map(rows.map((row) => [row.key, row.id]));
      const own = events.map(({ tunnelKey, refusal, audit, ...event }) => ({
        ...event,
        siteId,
        gatewayId,
        tunnelId: tunnelKey === undefined ? undefined : tunnels.get(tunnelKey),
      }));
      const fresh = await this.store.append(tx, rowsOf(organizationId, own));
      for (const event of events) {
        if (event.audit === undefined || !fresh.has(event.sourceId)) continue;
        const origin = event.refusal?.remote;
        const context = systemContext(organizationId, name, { kind: "agent", id: gatewayId, origin });
        await this.audit.record(tx, context, refusalEntry(refusedPeer(gatewayId, event), event.audit));
      }
    });
  }

  /** Newest first. */
  list(context: TenantContext, args: PageArgs, filter: EventFilter): Promise<Connection<Event>> {
    return page(args, (request) => this.store.page(context.organizationId, request, filter));
  }
}

function refusedPeer(gatewayId: string, { kind, message, refusal, tunnelKey }: AgentEvent): Refusal {
  const target = { kind: "gateway", id: gatewayId };
  const facts = { remote: refusal?.remote, connection: tunnelKey, message };
  return { action: "refusePeer", target, code: kind, who: refusal?.who ?? null, facts };
}

function rowsOf(organizationId: string, events: readonly NewEvent[]): Prisma.EventCreateManyInput[] {
  return events.map(({ message, facts = {}, siteId, gatewayId, tunnelId, sourceId, ...event }) => ({
    ...event,
    organizationId,
    message: message.slice(0, MAX_TEXT),
    facts,
    siteId: siteId ?? null,
    gatewayId: gatewayId ?? null,
    tunnelId: tunnelId ?? null,
    sourceId: sourceId ?? null,
  }));
}
