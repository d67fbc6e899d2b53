import { Injectable } from "@nestjs/common";
import type { Tx } from "../../platform/database/database.js";
import type { Prisma, Secret } from "../../platform/prisma/generated/client.js";

export abstract class SecretStore {
  abstract create(tx: Tx, data: Prisma.SecretUncheckedCreateInput): Promise<Secret>;
  /** The key that a tunnel of a network uses. */
  abstract ofTunnel(tx: Tx, organizationId: string, tunnelKey: string): Promise<Secret | null>;
  abstract byId(tx: Tx, organizationId: string, id: string): Promise<Secret | null>;
  /** What is accepted beside a key. */
  abstract beside(tx: Tx, organizationId: string, id: string): Promise<Secret | null>;
  /** The one beside which `next` is accepted is accepted beside it from now on. */
  abstract swap(tx: Tx, next: Secret): Promise<void>;
  /** Deletes what is accepted beside a key; nothing when there is none. */
  abstract dropBeside(tx: Tx, organizationId: string, besideId: string): Promise<number>;
}

@Injectable()
export class PrismaSecretStore extends SecretStore {
  override create(tx: Tx, data: Prisma.SecretUncheckedCreateInput): Promise<Secret> {
    return tx.secret.create({ data });
  }

  override ofTunnel(tx: Tx, organizationId: string, tunnelKey: string): Promise<Secret | null> {
    return tx.secret.findFirst({ where: { organizationId, tunnelKey } });
  }

  override byId(tx: Tx, organizationId: string, id: string): Promise<Secret | null> {
    return tx.secret.findUnique({ where: { organizationId, id } });
  }

  override beside(tx: Tx, organizationId: string, besideId: string): Promise<Secret | null> {
    return tx.secret.findFirst({ where: { organizationId, besideId } });
  }

  override async swap(tx: Tx, { organizationId, id, besideId }: Secret): Promise<void> {
    if (besideId === null) return;
    const used = await tx.secret.findUniqueOrThrow({ where: { organizationId, id: besideId } });
    const set = (row: string, data: Prisma.SecretUncheckedUpdateInput) =>
      tx.secret.update({ where: { organizationId, id: row }, data, select: { id: true } });
    await set(id, { besideId: null });
    await set(used.id, { besideId: id, tunnelKey: null });
    await set(id, { tunnelKey: used.tunnelKey, rotatedAt: new Date() });
  }

  override async dropBeside(tx: Tx, organizationId: string, besideId: string): Promise<number> {
    return (await tx.secret.deleteMany({ where: { organizationId, besideId } })).count;
  }
}
