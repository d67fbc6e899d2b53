import { Injectable } from "@nestjs/common";
import type { Tx } from "../../platform/database/database.js";
import type { Prisma, Secret } from "../../platform/prisma/generated/client.js";

export abstract class SecretStore {
  abstract create(tx: Tx, data: Prisma.SecretUncheckedCreateInput): Promise<Secret>;
}

@Injectable()
export class PrismaSecretStore extends SecretStore {
  override create(tx: Tx, data: Prisma.SecretUncheckedCreateInput): Promise<Secret> {
    return tx.secret.create({ data });
  }
}
