import { createHash, randomUUID } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import pg from "pg";
import { fault } from "../faults.js";

/** The advisory lock that Prisma's own command line takes, so that the two exclude each other. */
const LOCK = 72707369;

/** As Prisma's command line makes it. */
const LEDGER = `CREATE TABLE IF NOT EXISTS _prisma_migrations (
  id VARCHAR(36) PRIMARY KEY NOT NULL,
  checksum VARCHAR(64) NOT NULL,
  finished_at TIMESTAMPTZ,
  migration_name VARCHAR(255) NOT NULL,
  logs TEXT,
  rolled_back_at TIMESTAMPTZ,
  started_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  applied_steps_count INTEGER NOT NULL DEFAULT 0
)`;

interface Migration {
  readonly name: string;
  readonly sql: string;
  readonly checksum: string;
}

export interface MigrationOutcome {
  /** Names, in the order in which they were applied just now. */
  readonly applied: readonly string[];
  /** Applied by a newer version of the control plane than this one. */
  readonly unknown: readonly string[];
}

async function readMigrations(directory: string): Promise<Migration[]> {
  const entries = await readdir(directory, { withFileTypes: true });
  const names = entries.filter((e) => e.isDirectory()).map((e) => e.name);
  return Promise.all(
    names.toSorted().map(async (name) => {
      const sql = await readFile(path.join(directory, name, "migration.sql"), "utf8");
      return { name, sql, checksum: createHash("sha256").update(sql).digest("hex") };
    }),
  );
}

async function apply(client: pg.Client, migration: Migration): Promise<void> {
  await client.query("BEGIN");
  try {
    const { rows } = await client.query<{ at: Date }>("SELECT now() AS at");
    await client.query(migration.sql);
    await client.query(
      `INSERT INTO _prisma_migrations (id, checksum, migration_name, started_at, finished_at, applied_steps_count)
       VALUES ($1, $2, $3, $4, clock_timestamp(), 1)`,
      [randomUUID(), migration.checksum, migration.name, rows[0]?.at],
    );
    await client.query("COMMIT");
  } catch (cause) {
    await client.query("ROLLBACK").catch(() => {});
    throw fault(
      "platform/migration-failed",
      `migration ${migration.name}: ${(cause as Error).message}; nothing of it was kept`,
      {
        field: migration.name,
        cause,
      },
    );
  }
}

/**
 * Applies what is missing of the migrations in `directory`, each in a transaction of its own, one process at a time.
 * @throws platform/migration-changed when an applied one has another content now; platform/migration-failed.
 */
export async function migrate(connection: pg.ClientConfig, directory: string): Promise<MigrationOutcome> {
  const migrations = await readMigrations(directory);
  const client = new pg.Client(connection);
  await client.connect();
  try {
    await client.query("SELECT pg_advisory_lock($1)", [LOCK]);
    await client.query(LEDGER);
    const { rows } = await client.query<{ name: string; checksum: string; finished: boolean }>(
      `SELECT migration_name AS name, checksum, finished_at IS NOT NULL AS finished
       FROM _prisma_migrations WHERE rolled_back_at IS NULL`,
    );
    const ledger = new Map(rows.map((row) => [row.name, row]));
    for (const { name, checksum } of migrations) {
      const row = ledger.get(name);
      if (row && !row.finished) {
        throw fault("platform/migration-failed", `migration ${name} was started by another tool and never finished`, {
          field: name,
        });
      }
      if (row && row.checksum !== checksum) {
        throw fault("platform/migration-changed", `migration ${name} was applied with another content`, {
          field: name,
          value: checksum,
          expected: row.checksum,
        });
      }
    }
    const missing = migrations.filter((m) => !ledger.has(m.name));
    for (const migration of missing) await apply(client, migration);
    const known = new Set(migrations.map((m) => m.name));
    return {
      applied: missing.map((m) => m.name),
      unknown: rows.map((r) => r.name).filter((name) => !known.has(name)),
    };
  } finally {
    await client.end();
  }
}
