import { Injectable } from "@nestjs/common";
import { Database, type Tx } from "../../platform/database/database.js";
import { ANY_ORGANIZATION } from "../../platform/database/tenancy-guard.js";
import { type PageRequest, pageQuery } from "../../platform/graphql/connection.js";
import type { Handover, HandoverProfile, Prisma } from "../../platform/prisma/generated/client.js";
import type { Caller } from "./devices.js";

/** A hand-over with what its page shows. */
export type ShownHandover = Handover & {
  readonly organization: { readonly name: string };
  readonly remoteAccess: { readonly name: string };
  readonly roadWarrior: Caller;
  readonly certificate: { readonly revokedAt: Date | null } | null;
};

export interface HandoverFilter {
  readonly roadWarriorId?: string;
}

export abstract class HandoverStore {
  abstract create(tx: Tx, data: Prisma.HandoverUncheckedCreateInput): Promise<Handover>;
  abstract update(
    tx: Tx,
    organizationId: string,
    id: string,
    data: Prisma.HandoverUncheckedUpdateInput,
  ): Promise<Handover>;
  abstract byId(tx: Tx, organizationId: string, id: string): Promise<Handover | null>;
  /** Of whatever organization: whoever asks brings the link's secret. */
  abstract shown(id: string): Promise<ShownHandover | null>;
  abstract shownIn(tx: Tx, organizationId: string, id: string): Promise<ShownHandover | null>;
  /** Newest first. */
  abstract page(organizationId: string, request: PageRequest, filter: HandoverFilter): Promise<Handover[]>;
  /** Ids of those whose key nobody collected in time, of all organizations. */
  abstract overdue(now: Date, take: number): Promise<{ id: string; organizationId: string }[]>;

  /** The person's earlier profiles for such a device are superseded. */
  abstract addProfile(tx: Tx, data: Prisma.HandoverProfileUncheckedCreateInput): Promise<HandoverProfile>;
  abstract keepFiles(
    tx: Tx,
    organizationId: string,
    profileId: string,
    files: Uint8Array<ArrayBuffer>,
    until: Date,
  ): Promise<void>;
  abstract profileCount(tx: Tx, organizationId: string, handoverId: string): Promise<number>;
  /** With its files, while a download may be tried again. */
  abstract collected(organizationId: string, handoverId: string, profileId: string): Promise<HandoverProfile | null>;
  abstract wipeFiles(tx: Tx, organizationId: string, handoverId: string): Promise<void>;
  /** Of all organizations. Gives how many were wiped. */
  abstract wipeOldFiles(now: Date): Promise<number>;
}

const SHOWN = {
  organization: { select: { name: true } },
  remoteAccess: { select: { name: true } },
  roadWarrior: { select: { id: true, name: true, username: true, passwordSetAt: true } },
  certificate: { select: { revokedAt: true } },
} as const;

@Injectable()
export class PrismaHandoverStore extends HandoverStore {
  constructor(private readonly database: Database) {
    super();
  }

  override create(tx: Tx, data: Prisma.HandoverUncheckedCreateInput): Promise<Handover> {
    return tx.handover.create({ data });
  }

  override update(tx: Tx, organizationId: string, id: string, data: Prisma.HandoverUncheckedUpdateInput) {
    return tx.handover.update({ where: { organizationId, id }, data });
  }

  override byId(tx: Tx, organizationId: string, id: string): Promise<Handover | null> {
    return tx.handover.findUnique({ where: { organizationId, id } });
  }

  override shown(id: string): Promise<ShownHandover | null> {
    const where = { organizationId: ANY_ORGANIZATION, id };
    return this.database.client.handover.findFirst({ where, include: SHOWN });
  }

  override shownIn(tx: Tx, organizationId: string, id: string): Promise<ShownHandover | null> {
    return tx.handover.findUnique({ where: { organizationId, id }, include: SHOWN });
  }

  override page(organizationId: string, request: PageRequest, filter: HandoverFilter): Promise<Handover[]> {
    const { where, ...rest } = pageQuery(request, "desc");
    return this.database.client.handover.findMany({ where: { organizationId, ...filter, ...where }, ...rest });
  }

  override overdue(now: Date, take: number) {
    return this.database.client.handover.findMany({
      where: { organizationId: ANY_ORGANIZATION, sealed: { not: null }, expiresAt: { lt: now } },
      select: { id: true, organizationId: true },
      orderBy: { id: "asc" },
      take,
    });
  }

  override async addProfile(tx: Tx, data: Prisma.HandoverProfileUncheckedCreateInput): Promise<HandoverProfile> {
    const { organizationId, roadWarriorId, remoteAccessId, device } = data;
    await tx.handoverProfile.updateMany({
      where: { organizationId, roadWarriorId, remoteAccessId, device, supersededAt: null },
      data: { supersededAt: new Date() },
    });
    return tx.handoverProfile.create({ data });
  }

  override async keepFiles(
    tx: Tx,
    organizationId: string,
    id: string,
    files: Uint8Array<ArrayBuffer>,
    filesUntil: Date,
  ): Promise<void> {
    await tx.handoverProfile.update({
      where: { organizationId, id },
      data: { files, filesUntil },
      select: { id: true },
    });
  }

  override profileCount(tx: Tx, organizationId: string, handoverId: string): Promise<number> {
    return tx.handoverProfile.count({ where: { organizationId, handoverId } });
  }

  override collected(organizationId: string, handoverId: string, id: string): Promise<HandoverProfile | null> {
    return this.database.client.handoverProfile.findFirst({
      where: { organizationId, handoverId, id, filesUntil: { gt: new Date() } },
    });
  }

  override async wipeFiles(tx: Tx, organizationId: string, handoverId: string): Promise<void> {
    const where = { organizationId, handoverId, files: { not: null } };
    await tx.handoverProfile.updateMany({ where, data: { files: null, filesUntil: null } });
  }

  override async wipeOldFiles(now: Date): Promise<number> {
    const where = { organizationId: ANY_ORGANIZATION, filesUntil: { lt: now } };
    const wipe = { files: null, filesUntil: null };
    const { count } = await this.database.transaction((tx) => tx.handoverProfile.updateMany({ where, data: wipe }));
    return count;
  }
}
