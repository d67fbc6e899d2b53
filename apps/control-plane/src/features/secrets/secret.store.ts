import { Injectable } from "@nestjs/common";
import type { Tx } from "../../platform/database/database.js";
import { ANY_ORGANIZATION } from "../../platform/database/tenancy-guard.js";
import type { Prisma, Secret } from "../../platform/prisma/generated/client.js";
import type { Sealed } from "../../platform/vault/vault.js";

export abstract class SecretStore {
  abstract create(tx: Tx, data: Prisma.SecretUncheckedCreateInput): Promise<Secret>;
  /** Of all organizations: those that another master key than `keyId` wraps. */
  abstract sealedOtherwise(tx: Tx, keyId: string): Promise<Secret[]>;
  abstract reseal(tx: Tx, row: Pick<Secret, "id" | "organizationId">, sealed: Sealed): Promise<void>;
}

@Injectable()
export class PrismaSecretStore extends SecretStore {
  override create(tx: Tx, data: Prisma.SecretUncheckedCreateInput): Promise<Secret> {
    return tx.secret.create({ data });
  }

  override sealedOtherwise(tx: Tx, keyId: string): Promise<Secret[]> {
    return tx.secret.findMany({ where: { organizationId: ANY_ORGANIZATION, keyId: { not: keyId } } });
  }

  override async reseal(
    tx: Tx,
    { id, organizationId }: Pick<Secret, "id" | "organizationId">,
    data: Sealed,
  ): Promise<void> {
    await tx.secret.update({ where: { id, organizationId }, data, select: { id: true } });
  }
}
