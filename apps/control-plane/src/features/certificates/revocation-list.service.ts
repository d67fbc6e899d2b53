import { Inject, Injectable, type OnModuleInit } from "@nestjs/common";
import { buildCrl, type ListEntry, type RevocationReason } from "@sallyport/pki";
import { CONFIG, type Config } from "../../platform/config/config.js";
import { Database, type Tx } from "../../platform/database/database.js";
import { ANY_ORGANIZATION } from "../../platform/database/tenancy-guard.js";
import type { JobRunner } from "../../platform/outbox/job.js";
import { Jobs } from "../../platform/outbox/jobs.js";
import type { RevocationReason as StoredReason } from "../../platform/prisma/generated/enums.js";
import { AuthorityService } from "./authority.service.js";
import { PUBLISH_LISTS, type PublishLists } from "./jobs.js";
import { PublishedAuthorities, type PublishedAuthority } from "./published-authorities.js";

/** How long a list counts; it is made anew at half of that, and at every revocation. */
const LIFE_MS = 24 * 3_600_000;
/** Clocks of those who read it may be late. */
const BACKDATE_MS = 10 * 60_000;
/** A revocation may be dated before the list that it just missed: its transaction was still open. */
const OVERLAP_MS = 3_600_000;

export const REASON_NAMES: Readonly<Record<StoredReason, RevocationReason>> = {
  UNSPECIFIED: "unspecified",
  KEY_COMPROMISE: "keyCompromise",
  CA_COMPROMISE: "cACompromise",
  AFFILIATION_CHANGED: "affiliationChanged",
  SUPERSEDED: "superseded",
  CESSATION_OF_OPERATION: "cessationOfOperation",
  CERTIFICATE_HOLD: "certificateHold",
  PRIVILEGE_WITHDRAWN: "privilegeWithdrawn",
};

/** Lists of revoked certificates, complete and delta, as rows that every replica serves. */
@Injectable()
export class RevocationListService implements JobRunner<PublishLists>, OnModuleInit {
  readonly type = PUBLISH_LISTS;

  constructor(
    private readonly database: Database,
    private readonly authorities: AuthorityService,
    private readonly published: PublishedAuthorities,
    private readonly jobs: Jobs,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  onModuleInit(): void {
    this.jobs.register(this);
  }

  async run({ authorityId }: PublishLists): Promise<void> {
    const authority = await this.published.find(authorityId);
    if (authority !== undefined) await this.publish(authority);
  }

  /** The newest list, DER; made now when there is none that counts. Undefined: this CA's lists are made elsewhere, or it has no delta yet. */
  async current(authority: PublishedAuthority, delta: boolean): Promise<{ list: Uint8Array; until: Date } | undefined> {
    return (await this.#newest(authority, delta)) ?? this.#made(authority, delta);
  }

  async #made(authority: PublishedAuthority, delta: boolean) {
    if (delta && (await this.#newest(authority, false)) !== undefined) return undefined;
    await this.publish(authority, true);
    return this.#newest(authority, delta);
  }

  async #newest({ id, organizationId }: PublishedAuthority, delta: boolean) {
    const row = await this.database.client.revocationList.findFirst({
      where: { organizationId, authorityId: id, delta, list: { not: null }, nextUpdate: { gt: new Date() } },
      orderBy: { number: "desc" },
    });
    return row?.list ? { list: row.list, until: row.nextUpdate } : undefined;
  }

  /** Makes both lists anew; with `unlessCurrent` only when nobody did so meanwhile. */
  async publish({ id, organizationId }: PublishedAuthority, unlessCurrent = false): Promise<void> {
    await this.database.transaction(async (tx) => {
      await tx.$queryRaw`
        SELECT 1 FROM certificate_authorities
        WHERE id = ${id}::uuid AND organization_id IS NOT DISTINCT FROM ${organizationId}::uuid FOR UPDATE`;
      const where = { organizationId, id };
      const row = await tx.certificateAuthority.findFirst({ where });
      const now = new Date();
      if (row === null || row.keyRef === null || row.notAfter < now) return;
      if (unlessCurrent && row.listsDueAt !== null && row.listsDueAt > now) return;
      const { store, authority } = await this.authorities.open(tx, organizationId, id, "authorityId", "retired too");
      const number = row.listNumber + 1n;
      const times = { thisUpdate: now.getTime() - BACKDATE_MS, nextUpdate: now.getTime() + LIFE_MS };
      const base = await tx.revocationList.findFirst({
        where: { organizationId, authorityId: id, delta: false, nextUpdate: { gt: now } },
        orderBy: { number: "asc" },
      });
      const deltaUri = this.config.pkiUrl === undefined ? undefined : `${this.config.pkiUrl}/pki/delta/${id}`;
      const entries = await revoked(tx, id, now);
      const complete = await buildCrl(store, authority, { number, ...times, deltaUri, entries });
      const delta =
        base &&
        (await buildCrl(store, authority, {
          number,
          base: base.number,
          ...times,
          entries: await since(tx, id, new Date(base.thisUpdate.getTime() - OVERLAP_MS)),
        }));
      await tx.revocationList.deleteMany({ where: { organizationId, authorityId: id, nextUpdate: { lte: now } } });
      await tx.revocationList.deleteMany({ where: { organizationId, authorityId: id, delta: true } });
      await tx.revocationList.updateMany({ where: { organizationId, authorityId: id }, data: { list: null } });
      const columns = {
        organizationId,
        authorityId: id,
        number,
        thisUpdate: now,
        nextUpdate: new Date(times.nextUpdate),
      };
      const lists = [complete, ...(delta ? [delta] : [])];
      await tx.revocationList.createMany({
        data: lists.map((list, i) => ({ ...columns, delta: i === 1, list: Uint8Array.from(list) })),
      });
      const listsDueAt = new Date(now.getTime() + LIFE_MS / 2);
      await tx.certificateAuthority.updateMany({ where, data: { listNumber: number, listsDueAt } });
    });
  }
}

const SHOWN = { serial: true, revokedAt: true, revocationReason: true, releasedAt: true } as const;

/** Revoked and not expired for as long as lists count: whoever validates at a slightly older time finds it too. */
async function revoked(tx: Tx, authorityId: string, now: Date): Promise<ListEntry[]> {
  const rows = await tx.certificate.findMany({
    where: {
      organizationId: ANY_ORGANIZATION,
      authorityId,
      revokedAt: { not: null },
      notAfter: { gt: new Date(now.getTime() - LIFE_MS) },
    },
    select: SHOWN,
    orderBy: { id: "asc" },
  });
  return rows.map(entryOf);
}

async function since(tx: Tx, authorityId: string, from: Date): Promise<ListEntry[]> {
  const rows = await tx.certificate.findMany({
    where: {
      organizationId: ANY_ORGANIZATION,
      authorityId,
      OR: [{ revokedAt: { gte: from } }, { revokedAt: null, releasedAt: { gte: from } }],
    },
    select: SHOWN,
    orderBy: { id: "asc" },
  });
  return rows.map(entryOf);
}

function entryOf(row: {
  serial: string;
  revokedAt: Date | null;
  revocationReason: StoredReason | null;
  releasedAt: Date | null;
}): ListEntry {
  const { serial, revokedAt, revocationReason, releasedAt } = row;
  if (revokedAt === null) return { serial, at: releasedAt?.getTime() ?? 0, reason: "removeFromCRL" };
  return { serial, at: revokedAt.getTime(), reason: REASON_NAMES[revocationReason ?? "UNSPECIFIED"] };
}
