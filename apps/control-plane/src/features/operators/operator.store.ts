import { Injectable } from "@nestjs/common";
import { Database, type Tx } from "../../platform/database/database.js";
import { type PageRequest, pageQuery } from "../../platform/graphql/connection.js";
import type { ApiToken, Operator, Prisma } from "../../platform/prisma/generated/client.js";

export type TokenWithOperator = ApiToken & { operator: Operator };

/** Operators and their tokens. */
export abstract class OperatorStore {
  abstract create(tx: Tx, data: Prisma.OperatorUncheckedCreateInput): Promise<Operator>;
  abstract byEmail(email: string): Promise<Operator | null>;
  abstract byId(organizationId: string, id: string): Promise<Operator | null>;
  /** Oldest first. */
  abstract page(organizationId: string, request: PageRequest): Promise<Operator[]>;
  abstract update(
    tx: Tx,
    organizationId: string,
    id: string,
    data: Prisma.OperatorUncheckedUpdateInput,
  ): Promise<Operator>;
  abstract createToken(tx: Tx, data: Prisma.ApiTokenUncheckedCreateInput): Promise<ApiToken>;
  abstract tokenByHash(hash: Uint8Array<ArrayBuffer>): Promise<TokenWithOperator | null>;
  abstract token(tx: Tx, organizationId: string, id: string): Promise<ApiToken | null>;
  /** API tokens that are neither revoked nor expired, newest first; of one operator when that is given. */
  abstract tokens(
    organizationId: string,
    request: PageRequest,
    operatorId: string | undefined,
    now: Date,
  ): Promise<ApiToken[]>;
  abstract revokeToken(tx: Tx, organizationId: string, id: string, at: Date): Promise<ApiToken>;
  abstract revokeSessions(tx: Tx, organizationId: string, operatorId: string, at: Date): Promise<void>;
  abstract touchToken(organizationId: string, id: string, at: Date): Promise<void>;
}

@Injectable()
export class PrismaOperatorStore extends OperatorStore {
  constructor(private readonly database: Database) {
    super();
  }

  override create(tx: Tx, data: Prisma.OperatorUncheckedCreateInput): Promise<Operator> {
    return tx.operator.create({ data });
  }

  override byEmail(email: string): Promise<Operator | null> {
    return this.database.client.operator.findUnique({ where: { email } });
  }

  override byId(organizationId: string, id: string): Promise<Operator | null> {
    return this.database.client.operator.findUnique({ where: { organizationId, id } });
  }

  override page(organizationId: string, request: PageRequest): Promise<Operator[]> {
    const { where, ...rest } = pageQuery(request, "asc");
    return this.database.client.operator.findMany({ where: { organizationId, ...where }, ...rest });
  }

  override update(
    tx: Tx,
    organizationId: string,
    id: string,
    data: Prisma.OperatorUncheckedUpdateInput,
  ): Promise<Operator> {
    return tx.operator.update({ where: { organizationId, id }, data });
  }

  override createToken(tx: Tx, data: Prisma.ApiTokenUncheckedCreateInput): Promise<ApiToken> {
    return tx.apiToken.create({ data });
  }

  override tokenByHash(hash: Uint8Array<ArrayBuffer>): Promise<TokenWithOperator | null> {
    return this.database.client.apiToken.findUnique({ where: { hash }, include: { operator: true } });
  }

  override token(tx: Tx, organizationId: string, id: string): Promise<ApiToken | null> {
    return tx.apiToken.findUnique({ where: { organizationId, id } });
  }

  override tokens(organizationId: string, request: PageRequest, operatorId: string | undefined, now: Date) {
    const { where, ...rest } = pageQuery(request, "desc");
    const whose = operatorId === undefined ? {} : { operatorId };
    return this.database.client.apiToken.findMany({
      where: { organizationId, ...whose, kind: "API", revokedAt: null, expiresAt: { gt: now }, ...where },
      ...rest,
    });
  }

  override revokeToken(tx: Tx, organizationId: string, id: string, at: Date): Promise<ApiToken> {
    return tx.apiToken.update({ where: { organizationId, id }, data: { revokedAt: at } });
  }

  override async revokeSessions(tx: Tx, organizationId: string, operatorId: string, at: Date): Promise<void> {
    await tx.apiToken.updateMany({
      where: { organizationId, operatorId, kind: "SESSION", revokedAt: null },
      data: { revokedAt: at },
    });
  }

  override async touchToken(organizationId: string, id: string, at: Date): Promise<void> {
    await this.database.client.apiToken.updateMany({ where: { organizationId, id }, data: { lastUsedAt: at } });
  }
}
