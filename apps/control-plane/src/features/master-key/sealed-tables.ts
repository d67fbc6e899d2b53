import type { Tx } from "../../platform/database/database.js";
import type { Sealed } from "../../platform/vault/vault.js";
import { accountPlace } from "../acme/account.service.js";
import { webhookPlace } from "../alerts/webhook.js";
import { authorityKeyPlace } from "../certificates/database-key-store.js";
import { zonePlace } from "../dns-zones/dns-zone.service.js";
import { handoverPlace } from "../handover/sealed-key.js";
import { revisionPlace } from "../intents/jobs.js";
import { verifierPlace } from "../road-warriors/credentials.js";
import { secretPlace } from "../secrets/secret.service.js";

export interface SealedRow {
  readonly id: string;
  /** Null: of the installation. */
  readonly organizationId: string | null;
  /** What it is sealed for. */
  readonly place: string;
  readonly sealed: Uint8Array;
  readonly keyId: string;
}

/** An organization by its id; null: the installation. */
export type Owner = string | null;

type Octets = Uint8Array<ArrayBuffer>;

/** A table with a column of sealed values. */
export interface SealedTable {
  /** Prisma's name of the model. */
  readonly model: string;
  /** Rows of an owner that another master key sealed, oldest first. */
  stale(tx: Tx, owner: Owner, keyId: string, take: number): Promise<SealedRow[]>;
  /** Writes the row's new envelope where the old one still stands; a value that was changed meanwhile stays. Gives how many were written. */
  write(tx: Tx, row: SealedRow, sealed: Sealed): Promise<{ count: number }>;
}

const select = { id: true, organizationId: true, sealed: true, keyId: true } as const;
const orderBy = { id: "asc" } as const;
const of = ({ id, organizationId, sealed }: SealedRow, owner = organizationId ?? "") => ({
  id,
  organizationId: owner,
  sealed: sealed as Octets,
});

export const SEALED_TABLES: readonly SealedTable[] = [
  {
    model: "Secret",
    async stale(tx, owner, keyId, take) {
      if (owner === null) return [];
      const where = { organizationId: owner, keyId: { not: keyId } };
      const rows = await tx.secret.findMany({ where, select, orderBy, take });
      return rows.map((row) => ({ ...row, place: secretPlace(row.id) }));
    },
    write: (tx, row, data) => tx.secret.updateMany({ where: of(row), data }),
  },
  {
    model: "IntentRevision",
    async stale(tx, owner, keyId, take) {
      if (owner === null) return [];
      const where = { organizationId: owner, keyId: { not: keyId } };
      const more = { ...select, gatewayId: true, number: true } as const;
      const rows = await tx.intentRevision.findMany({ where, select: more, orderBy, take });
      return rows.map((row) => ({ ...row, place: revisionPlace(row.gatewayId, row.number) }));
    },
    write: (tx, row, data) => tx.intentRevision.updateMany({ where: of(row), data }),
  },
  {
    model: "AuthorityKey",
    async stale(tx, owner, keyId, take) {
      const where = { organizationId: owner, keyId: { not: keyId } };
      const rows = await tx.authorityKey.findMany({ where, select, orderBy, take });
      return rows.map((row) => ({ ...row, place: authorityKeyPlace(row.id) }));
    },
    write: (tx, row, data) =>
      tx.authorityKey.updateMany({ where: { ...of(row), organizationId: row.organizationId }, data }),
  },
  {
    model: "AcmeAccount",
    async stale(tx, owner, keyId, take) {
      if (owner === null) return [];
      const where = { organizationId: owner, keyId: { not: keyId } };
      const rows = await tx.acmeAccount.findMany({ where, select, orderBy, take });
      return rows.map((row) => ({ ...row, place: accountPlace(row.id) }));
    },
    write: (tx, row, data) => tx.acmeAccount.updateMany({ where: of(row), data }),
  },
  {
    model: "DnsZone",
    async stale(tx, owner, keyId, take) {
      if (owner === null) return [];
      const where = { organizationId: owner, keyId: { not: keyId }, sealed: { not: null } };
      const rows = await tx.dnsZone.findMany({ where, select, orderBy, take });
      return rows.flatMap(({ sealed, keyId: by, ...row }) =>
        sealed && by ? [{ ...row, sealed, keyId: by, place: zonePlace(row.id) }] : [],
      );
    },
    write: (tx, row, data) => tx.dnsZone.updateMany({ where: of(row), data }),
  },
  {
    model: "RoadWarrior",
    async stale(tx, owner, keyId, take) {
      if (owner === null) return [];
      const where = { organizationId: owner, keyId: { not: keyId }, sealed: { not: null } };
      const rows = await tx.roadWarrior.findMany({ where, select, orderBy, take });
      return rows.flatMap(({ sealed, keyId: by, ...row }) =>
        sealed && by ? [{ ...row, sealed, keyId: by, place: verifierPlace(row.id) }] : [],
      );
    },
    write: (tx, row, data) => tx.roadWarrior.updateMany({ where: of(row), data }),
  },
  {
    model: "Handover",
    async stale(tx, owner, keyId, take) {
      if (owner === null) return [];
      const where = { organizationId: owner, keyId: { not: keyId }, sealed: { not: null } };
      const rows = await tx.handover.findMany({ where, select, orderBy, take });
      return rows.flatMap(({ sealed, keyId: by, ...row }) =>
        sealed && by ? [{ ...row, sealed, keyId: by, place: handoverPlace(row.id) }] : [],
      );
    },
    write: (tx, row, data) => tx.handover.updateMany({ where: of(row), data }),
  },
  {
    model: "AlertWebhook",
    async stale(tx, owner, keyId, take) {
      if (owner === null) return [];
      const where = { organizationId: owner, keyId: { not: keyId } };
      const rows = await tx.alertWebhook.findMany({ where, select, orderBy, take });
      return rows.map((row) => ({ ...row, place: webhookPlace(row.id) }));
    },
    write: (tx, row, data) => tx.alertWebhook.updateMany({ where: of(row), data }),
  },
];
