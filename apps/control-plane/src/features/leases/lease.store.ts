import { randomUUIDv7 } from "node:crypto";
import { Injectable } from "@nestjs/common";
import { Database, type Tx } from "../../platform/database/database.js";
import { type PageRequest, pageQuery } from "../../platform/graphql/connection.js";
import type { AddressPool, IkeSa, Lease, StaticLease } from "../../platform/prisma/generated/client.js";

/** An address that a peer holds by its IKE SA. */
export interface HeldAddress {
  readonly address: string;
  readonly identity: string;
  readonly poolId: string | undefined;
  readonly roadWarriorId: string | undefined;
  readonly outerEndpoint: string;
  readonly beganAt: Date;
  readonly ikeSaId: string;
}

export interface WrittenLease {
  readonly id: string;
  readonly address: string;
  readonly identity: string;
  /** It began with this. */
  readonly fresh: boolean;
}

export interface Clash {
  readonly address: string;
  readonly identity: string;
  readonly otherGateway: string;
  readonly otherIdentity: string;
}

export interface LeaseFilter {
  readonly poolId?: string;
  readonly gatewayId?: string;
  readonly roadWarriorId?: string;
  readonly address?: string;
  readonly active?: boolean;
}

/** Addresses of a pool that are not free. */
export interface PoolUse {
  readonly poolId: string;
  readonly leased: number;
  /** Somebody's own, and not held by anybody now. */
  readonly reserved: number;
}

export abstract class LeaseStore {
  abstract pools(tx: Tx, organizationId: string): Promise<AddressPool[]>;
  /** Ids of people by their user names. */
  abstract people(tx: Tx, organizationId: string, usernames: readonly string[]): Promise<ReadonlyMap<string, string>>;
  /** Leases that are open go on, others begin. No address may be named twice with one identity. */
  abstract write(
    tx: Tx,
    organizationId: string,
    gatewayId: string,
    held: readonly HeldAddress[],
  ): Promise<WrittenLease[]>;
  /** Makes these IKE SAs, by id, the holders of these leases and of no others. */
  abstract hold(
    tx: Tx,
    organizationId: string,
    ikeSaIds: readonly string[],
    holders: readonly { readonly leaseId: string; readonly ikeSaId: string }[],
  ): Promise<void>;
  /** Deletes the oldest of a gateway's that ended. */
  abstract forgetOldest(tx: Tx, organizationId: string, gatewayId: string, most: number): Promise<void>;
  /** Open leases of a gateway at these addresses that are open at another gateway too, by address. */
  abstract clashes(organizationId: string, gatewayId: string, addresses: readonly string[]): Promise<Clash[]>;

  /** Newest first. */
  abstract page(organizationId: string, request: PageRequest, filter: LeaseFilter): Promise<Lease[]>;
  /** Newest first. */
  abstract openAt(organizationId: string, addresses: readonly string[]): Promise<Lease[]>;
  abstract ikeSas(organizationId: string, leaseIds: readonly string[]): Promise<{ leaseId: string; ikeSa: IkeSa }[]>;
  abstract staticLeases(organizationId: string, addresses: readonly string[]): Promise<StaticLease[]>;
  abstract use(organizationId: string, poolIds: readonly string[]): Promise<PoolUse[]>;
}

@Injectable()
export class PrismaLeaseStore extends LeaseStore {
  constructor(private readonly database: Database) {
    super();
  }

  override pools(tx: Tx, organizationId: string): Promise<AddressPool[]> {
    return tx.addressPool.findMany({ where: { organizationId } });
  }

  override async people(tx: Tx, organizationId: string, usernames: readonly string[]) {
    const where = { organizationId, username: { in: [...usernames] } };
    const rows = await tx.roadWarrior.findMany({ where, select: { id: true, username: true } });
    return new Map(rows.map((row) => [row.username, row.id]));
  }

  override write(tx: Tx, organizationId: string, gatewayId: string, held: readonly HeldAddress[]) {
    const rows = held.map((lease) => ({ id: randomUUIDv7(), ...lease }));
    return tx.$queryRaw<WrittenLease[]>`
      INSERT INTO leases (id, organization_id, gateway_id, address, identity, pool_id, road_warrior_id, outer_endpoint, began_at)
      SELECT t.id, ${organizationId}::uuid, ${gatewayId}::uuid, t.address, t.identity, t."poolId", t."roadWarriorId",
        t."outerEndpoint", t."beganAt"
      FROM jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) AS t (id uuid, address inet, identity text, "poolId" uuid,
        "roadWarriorId" uuid, "outerEndpoint" text, "beganAt" timestamptz)
      ON CONFLICT (gateway_id, address, identity, open) DO UPDATE SET outer_endpoint = EXCLUDED.outer_endpoint
      RETURNING id::text AS id, host(address) AS address, identity, (xmax = 0) AS fresh`;
  }

  override async hold(
    tx: Tx,
    organizationId: string,
    ikeSaIds: readonly string[],
    holders: readonly { readonly leaseId: string; readonly ikeSaId: string }[],
  ): Promise<void> {
    const [leases, sas] = [holders.map((h) => h.leaseId), holders.map((h) => h.ikeSaId)];
    if (holders.length > 0) {
      await tx.$executeRaw`
        INSERT INTO lease_holders (organization_id, lease_id, ike_sa_id)
        SELECT ${organizationId}::uuid, * FROM unnest(${leases}::uuid[], ${sas}::uuid[])
        ON CONFLICT DO NOTHING`;
    }
    await tx.$executeRaw`
      DELETE FROM lease_holders
      WHERE ike_sa_id = ANY(${ikeSaIds}::uuid[]) AND organization_id = ${organizationId}::uuid
        AND lease_id <> ALL(${leases}::uuid[])`;
  }

  override async forgetOldest(tx: Tx, organizationId: string, gatewayId: string, most: number): Promise<void> {
    await tx.$executeRaw`
      DELETE FROM leases WHERE organization_id = ${organizationId}::uuid AND id IN (
        SELECT id FROM leases WHERE gateway_id = ${gatewayId}::uuid AND open IS NULL ORDER BY id LIMIT ${most})`;
  }

  override clashes(organizationId: string, gatewayId: string, addresses: readonly string[]): Promise<Clash[]> {
    // One address after the other: without statistics the planner would rather read all of the organization's leases.
    return this.database.client.$queryRaw<Clash[]>`
      SELECT a.address, own.identity, g.name AS "otherGateway", other.identity AS "otherIdentity"
      FROM unnest(${addresses}::text[]) AS a (address)
      CROSS JOIN LATERAL (
        SELECT identity, gateway_id FROM leases
        WHERE organization_id = ${organizationId}::uuid AND address = a.address::inet AND open
          AND gateway_id <> ${gatewayId}::uuid ORDER BY id LIMIT 1) other
      CROSS JOIN LATERAL (
        SELECT identity FROM leases
        WHERE organization_id = ${organizationId}::uuid AND address = a.address::inet AND open
          AND gateway_id = ${gatewayId}::uuid ORDER BY id LIMIT 1) own
      JOIN gateways g ON g.id = other.gateway_id`;
  }

  override page(organizationId: string, request: PageRequest, { active, ...filter }: LeaseFilter): Promise<Lease[]> {
    const { where, ...rest } = pageQuery(request, "desc");
    const open = active === undefined ? {} : { open: active || null };
    return this.database.client.lease.findMany({ where: { organizationId, ...filter, ...open, ...where }, ...rest });
  }

  override openAt(organizationId: string, addresses: readonly string[]): Promise<Lease[]> {
    const where = { organizationId, address: { in: [...addresses] }, open: true };
    return this.database.client.lease.findMany({ where, orderBy: { id: "desc" } });
  }

  override async ikeSas(organizationId: string, leaseIds: readonly string[]) {
    const where = { organizationId, leaseId: { in: [...leaseIds] } };
    const orderBy = { ikeSaId: "asc" } as const;
    return this.database.client.leaseHolder.findMany({ where, orderBy, select: { leaseId: true, ikeSa: true } });
  }

  override staticLeases(organizationId: string, addresses: readonly string[]): Promise<StaticLease[]> {
    return this.database.client.staticLease.findMany({ where: { organizationId, address: { in: [...addresses] } } });
  }

  override use(organizationId: string, poolIds: readonly string[]): Promise<PoolUse[]> {
    return this.database.client.$queryRaw<PoolUse[]>`
      SELECT p.id::text AS "poolId",
        (SELECT count(DISTINCT l.address) FROM leases l
         WHERE l.pool_id = p.id AND l.open AND l.organization_id = p.organization_id)::int AS leased,
        (SELECT count(*) FROM static_leases s
         WHERE s.pool_id = p.id AND s.organization_id = p.organization_id AND NOT EXISTS (
           SELECT FROM leases l
           WHERE l.organization_id = s.organization_id AND l.address = s.address AND l.open))::int AS reserved
      FROM address_pools p
      WHERE p.organization_id = ${organizationId}::uuid AND p.id = ANY(${poolIds}::uuid[])`;
  }
}
