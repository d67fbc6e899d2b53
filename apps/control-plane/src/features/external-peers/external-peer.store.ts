import { Injectable } from "@nestjs/common";
import { Database, type Tx } from "../../platform/database/database.js";
import { type PageRequest, pageQuery } from "../../platform/graphql/connection.js";
import type { ExternalPeer, Prisma } from "../../platform/prisma/generated/client.js";

export abstract class ExternalPeerStore {
  abstract create(tx: Tx, data: Prisma.ExternalPeerUncheckedCreateInput): Promise<ExternalPeer>;
  abstract byId(tx: Tx, organizationId: string, id: string): Promise<ExternalPeer | null>;
  /** With its subnets, its tunnel and its pre-shared key. */
  abstract remove(tx: Tx, peer: ExternalPeer): Promise<void>;
  abstract nameTaken(tx: Tx, organizationId: string, name: string): Promise<boolean>;
  abstract byIds(organizationId: string, ids: readonly string[]): Promise<ExternalPeer[]>;
  abstract subnets(
    organizationId: string,
    peerIds: readonly string[],
  ): Promise<{ externalPeerId: string; prefix: string }[]>;
  abstract page(organizationId: string, request: PageRequest): Promise<ExternalPeer[]>;
}

@Injectable()
export class PrismaExternalPeerStore extends ExternalPeerStore {
  constructor(private readonly database: Database) {
    super();
  }

  override create(tx: Tx, data: Prisma.ExternalPeerUncheckedCreateInput): Promise<ExternalPeer> {
    return tx.externalPeer.create({ data });
  }

  override byId(tx: Tx, organizationId: string, id: string): Promise<ExternalPeer | null> {
    return tx.externalPeer.findUnique({ where: { organizationId, id } });
  }

  override async remove(tx: Tx, { organizationId, id, secretId }: ExternalPeer): Promise<void> {
    await tx.externalPeer.delete({ where: { organizationId, id }, select: { id: true } });
    await tx.secret.delete({ where: { organizationId, id: secretId }, select: { id: true } });
  }

  override async nameTaken(tx: Tx, organizationId: string, name: string): Promise<boolean> {
    return (
      (await tx.externalPeer.count({ where: { organizationId, name: { equals: name, mode: "insensitive" } } })) > 0
    );
  }

  override byIds(organizationId: string, ids: readonly string[]): Promise<ExternalPeer[]> {
    return this.database.client.externalPeer.findMany({ where: { organizationId, id: { in: [...ids] } } });
  }

  override async subnets(organizationId: string, peerIds: readonly string[]) {
    const rows = await this.database.client.subnet.findMany({
      where: { organizationId, externalPeerId: { in: [...peerIds] } },
      orderBy: { id: "asc" },
      select: { externalPeerId: true, prefix: true },
    });
    return rows.map(({ externalPeerId, prefix }) => ({ externalPeerId: externalPeerId ?? "", prefix }));
  }

  override page(organizationId: string, request: PageRequest): Promise<ExternalPeer[]> {
    const { where, ...rest } = pageQuery(request, "asc");
    return this.database.client.externalPeer.findMany({ where: { organizationId, ...where }, ...rest });
  }
}
