import { Injectable } from "@nestjs/common";
import type { Hello } from "@sallyport/contract";
import { Database } from "../../platform/database/database.js";
import { ANY_ORGANIZATION } from "../../platform/database/tenancy-guard.js";
import type { AgentPeer } from "./agent-peer.service.js";

/** A session that nobody refreshed for this long belongs to a replica that died. */
const SESSION_LEASE_MS = 45_000;

const short = (text: string) => text.slice(0, 64);

/** Open streams, as every replica sees them. */
export abstract class SessionStore {
  /** Takes the place of any earlier session of the gateway. */
  abstract open(session: { id: string; replicaId: string }, peer: AgentPeer, hello: Hello): Promise<void>;
  /** Id of the gateway's newest session, undefined when there is none. */
  abstract current(peer: Pick<AgentPeer, "gatewayId" | "organizationId">): Promise<string | undefined>;
  /** Does nothing when another session took its place. */
  abstract close(sessionId: string, peer: AgentPeer): Promise<void>;
  /** Says that these are alive. */
  abstract seen(sessionIds: readonly string[]): Promise<void>;
  /** Closes the sessions of replicas that died and gives their gateways. */
  abstract reap(): Promise<readonly { organizationId: string; gatewayId: string }[]>;
}

@Injectable()
export class PrismaSessionStore extends SessionStore {
  constructor(private readonly database: Database) {
    super();
  }

  override async open(session: { id: string; replicaId: string }, peer: AgentPeer, hello: Hello): Promise<void> {
    const { gatewayId, organizationId } = peer;
    const now = new Date();
    const row = {
      organizationId,
      sessionId: session.id,
      replicaId: session.replicaId,
      contractVersion: hello.contractVersion,
      origin: peer.origin ?? null,
      fingerprint: peer.fingerprint,
      openedAt: now,
      seenAt: now,
    };
    await this.database.transaction(async (tx) => {
      await tx.agentSession.upsert({
        where: { gatewayId, organizationId },
        create: { gatewayId, ...row },
        update: row,
      });
      await tx.gateway.updateMany({
        where: { id: gatewayId, organizationId, firstConnectedAt: null },
        data: { firstConnectedAt: now },
      });
      await tx.gateway.update({
        where: { id: gatewayId, organizationId },
        data: {
          connectedAt: now,
          disconnectedAt: null,
          lastSeenAt: now,
          reportStream: session.id,
          agentVersion: short(hello.agentVersion),
          dataPlane: hello.dataPlane === undefined ? null : short(hello.dataPlane.kind),
        },
      });
    });
  }

  override async current({
    gatewayId,
    organizationId,
  }: Pick<AgentPeer, "gatewayId" | "organizationId">): Promise<string | undefined> {
    const row = await this.database.client.agentSession.findUnique({ where: { gatewayId, organizationId } });
    return row?.sessionId;
  }

  override async close(sessionId: string, peer: AgentPeer): Promise<void> {
    const { gatewayId, organizationId } = peer;
    await this.database.transaction(async (tx) => {
      const { count } = await tx.agentSession.deleteMany({ where: { gatewayId, organizationId, sessionId } });
      if (count === 0) return;
      const now = new Date();
      await tx.gateway.updateMany({
        where: { id: gatewayId, organizationId },
        data: { disconnectedAt: now, lastSeenAt: now },
      });
    });
  }

  override async seen(sessionIds: readonly string[]): Promise<void> {
    if (sessionIds.length === 0) return;
    const now = new Date();
    // Thousands: as one parameter they make one statement, and the same every time.
    await this.database.client.$executeRaw`
      WITH seen AS (
        UPDATE agent_sessions SET seen_at = ${now} WHERE session_id = ANY(${[...sessionIds]}::uuid[])
        RETURNING gateway_id, organization_id)
      UPDATE gateways g SET last_seen_at = ${now} FROM seen
      WHERE g.id = seen.gateway_id AND g.organization_id = seen.organization_id`;
  }

  override async reap() {
    const before = new Date(Date.now() - SESSION_LEASE_MS);
    return this.database.transaction(async (tx) => {
      const where = { organizationId: ANY_ORGANIZATION, seenAt: { lt: before } };
      const dead = await tx.agentSession.findMany({
        where,
        select: { organizationId: true, gatewayId: true, seenAt: true },
      });
      for (const { organizationId, gatewayId, seenAt } of dead) {
        const { count } = await tx.agentSession.deleteMany({ where: { gatewayId, organizationId, seenAt } });
        if (count === 0) continue;
        await tx.gateway.updateMany({ where: { id: gatewayId, organizationId }, data: { disconnectedAt: seenAt } });
      }
      return dead.map(({ organizationId, gatewayId }) => ({ organizationId, gatewayId }));
    });
  }
}
