import { Injectable } from "@nestjs/common";
import { Database, type Tx } from "../../platform/database/database.js";
import { type PageRequest, pageQuery } from "../../platform/graphql/connection.js";
import type { AddressPool, Prisma, StaticLease } from "../../platform/prisma/generated/client.js";

export type PoolColumns = Pick<AddressPool, "name" | "addresses" | "exclusions">;

export abstract class AddressPoolStore {
  abstract create(tx: Tx, organizationId: string, columns: PoolColumns): Promise<AddressPool>;
  abstract update(tx: Tx, organizationId: string, id: string, columns: PoolColumns): Promise<AddressPool>;
  abstract remove(tx: Tx, organizationId: string, id: string): Promise<void>;
  abstract byId(tx: Tx, organizationId: string, id: string): Promise<AddressPool | null>;
  abstract nameTaken(tx: Tx, organizationId: string, name: string): Promise<boolean>;
  /** Name of the remote access that gives its addresses. */
  abstract userOf(tx: Tx, organizationId: string, id: string): Promise<string | undefined>;
  abstract byIds(organizationId: string, ids: readonly string[]): Promise<AddressPool[]>;
  /** Oldest first. */
  abstract page(organizationId: string, request: PageRequest): Promise<AddressPool[]>;

  abstract lease(tx: Tx, data: Prisma.StaticLeaseUncheckedCreateInput): Promise<StaticLease>;
  abstract leaseById(tx: Tx, organizationId: string, id: string): Promise<StaticLease | null>;
  abstract removeLease(tx: Tx, organizationId: string, id: string): Promise<void>;
  /** Of one pool or of one person, inside a transaction. */
  abstract leasesIn(tx: Tx, where: Prisma.StaticLeaseWhereInput): Promise<StaticLease[]>;
  abstract leaseOfAddress(tx: Tx, organizationId: string, address: string): Promise<StaticLease | null>;
  /** Oldest first. */
  abstract leasesOfPeople(organizationId: string, roadWarriorIds: readonly string[]): Promise<StaticLease[]>;
  /** A page of one pool's, oldest first. */
  abstract leasePage(organizationId: string, poolId: string, request: PageRequest): Promise<StaticLease[]>;
}

@Injectable()
export class PrismaAddressPoolStore extends AddressPoolStore {
  constructor(private readonly database: Database) {
    super();
  }

  override create(tx: Tx, organizationId: string, columns: PoolColumns): Promise<AddressPool> {
    return tx.addressPool.create({ data: { organizationId, ...columns } });
  }

  override update(tx: Tx, organizationId: string, id: string, data: PoolColumns): Promise<AddressPool> {
    return tx.addressPool.update({ where: { organizationId, id }, data });
  }

  override async remove(tx: Tx, organizationId: string, id: string): Promise<void> {
    await tx.addressPool.delete({ where: { organizationId, id }, select: { id: true } });
  }

  override byId(tx: Tx, organizationId: string, id: string): Promise<AddressPool | null> {
    return tx.addressPool.findUnique({ where: { organizationId, id } });
  }

  override async nameTaken(tx: Tx, organizationId: string, name: string): Promise<boolean> {
    return (await tx.addressPool.count({ where: { organizationId, name: { equals: name, mode: "insensitive" } } })) > 0;
  }

  override async userOf(tx: Tx, organizationId: string, poolId: string): Promise<string | undefined> {
    const include = { remoteAccess: { select: { name: true } } };
    return (await tx.remoteAccessPool.findFirst({ where: { organizationId, poolId }, include }))?.remoteAccess.name;
  }

  override byIds(organizationId: string, ids: readonly string[]): Promise<AddressPool[]> {
    return this.database.client.addressPool.findMany({ where: { organizationId, id: { in: [...ids] } } });
  }

  override page(organizationId: string, request: PageRequest): Promise<AddressPool[]> {
    const { where, ...rest } = pageQuery(request, "asc");
    return this.database.client.addressPool.findMany({ where: { organizationId, ...where }, ...rest });
  }

  override lease(tx: Tx, data: Prisma.StaticLeaseUncheckedCreateInput): Promise<StaticLease> {
    return tx.staticLease.create({ data });
  }

  override leaseById(tx: Tx, organizationId: string, id: string): Promise<StaticLease | null> {
    return tx.staticLease.findUnique({ where: { organizationId, id } });
  }

  override async removeLease(tx: Tx, organizationId: string, id: string): Promise<void> {
    await tx.staticLease.delete({ where: { organizationId, id }, select: { id: true } });
  }

  override leasesIn(tx: Tx, where: Prisma.StaticLeaseWhereInput): Promise<StaticLease[]> {
    return tx.staticLease.findMany({ where, orderBy: { id: "asc" } });
  }

  override leaseOfAddress(tx: Tx, organizationId: string, address: string): Promise<StaticLease | null> {
    return tx.staticLease.findFirst({ where: { organizationId, address } });
  }

  override leasesOfPeople(organizationId: string, roadWarriorIds: readonly string[]): Promise<StaticLease[]> {
    const where = { organizationId, roadWarriorId: { in: [...roadWarriorIds] } };
    return this.database.client.staticLease.findMany({ where, orderBy: { id: "asc" } });
  }

  override leasePage(organizationId: string, poolId: string, request: PageRequest): Promise<StaticLease[]> {
    const { where, ...rest } = pageQuery(request, "asc");
    return this.database.client.staticLease.findMany({ where: { organizationId, poolId, ...where }, ...rest });
  }
}
