import { Injectable } from "@nestjs/common";
import { LOG_GENESIS, type LogEntry, logHash } from "@sallyport/pki";
import { Database, type Tx } from "../../platform/database/database.js";
import type { IssuanceLogEntry } from "../../platform/prisma/generated/client.js";

/** What happened to a certificate or an authority. Only what is in the certificate anyhow, and who did it. */
export interface LogEvent {
  readonly event:
    | "issued"
    | "revoked"
    | "held"
    | "released"
    | "authority-created"
    | "authority-imported"
    | "authority-completed";
  /** SHA-256 of the certificate. */
  readonly fingerprint: string;
  readonly serial: string;
  readonly subject: string;
  readonly issuer: string;
  readonly [more: string]: string | readonly string[];
}

const entryOf = (row: IssuanceLogEntry): LogEntry => ({
  organizationId: row.organizationId,
  sequence: row.sequence.toString(),
  at: row.at.toISOString(),
  body: row.body,
  previous: row.previous,
  hash: row.hash,
});

/** Writes and reads the log of one organization. Entries are written in the transaction of what they tell of. */
@Injectable()
export class IssuanceLogService {
  constructor(private readonly database: Database) {}

  async append(tx: Tx, organizationId: string, event: LogEvent): Promise<void> {
    // Two entries at once must not follow the same one.
    await tx.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended(${`issuance-log/${organizationId}`}, 0))`;
    const last = await tx.issuanceLogEntry.findFirst({ where: { organizationId }, orderBy: { sequence: "desc" } });
    const at = new Date();
    const sequence = (last?.sequence ?? 0n) + 1n;
    const entry = {
      organizationId,
      sequence: sequence.toString(),
      at: at.toISOString(),
      body: JSON.stringify(event),
      previous: last?.hash ?? LOG_GENESIS,
    };
    await tx.issuanceLogEntry.create({ data: { ...entry, at, sequence, hash: logHash(entry) } });
  }

  /** Entries after a sequence number, oldest first. */
  async page(organizationId: string, after: bigint, take: number): Promise<LogEntry[]> {
    const rows = await this.database.client.issuanceLogEntry.findMany({
      where: { organizationId, sequence: { gt: after } },
      orderBy: { sequence: "asc" },
      take,
    });
    return rows.map(entryOf);
  }
}
