import { randomBytes } from "node:crypto";
import pg from "pg";

export interface Connection {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

function variable(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: run these specs as the jest project "db"`);
  return value;
}

/** Of the run's PostgreSQL, with the migrated database that others are copied from. */
export const template = (): Connection => JSON.parse(variable("SALLYPORT_TEST_DATABASE")) as Connection;

/** `unix:///…`, one of the sixteen databases of the run's Redis. */
export const redisUrl = (db: number): string => `${variable("SALLYPORT_TEST_REDIS")}?db=${db}`;

export async function query(
  connection: Connection,
  sql: string,
  values: unknown[] = [],
): Promise<Record<string, unknown>[]> {
  const client = new pg.Client(connection);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql, values)).rows;
  } finally {
    await client.end();
  }
}

/** A migrated database of its own for one spec, or an empty one. */
export async function createDatabase(empty = false): Promise<{ connection: Connection; drop(): Promise<void> }> {
  const name = `spec_${randomBytes(6).toString("hex")}`;
  const admin = { ...template(), database: "postgres" };
  await query(admin, `CREATE DATABASE ${name}${empty ? "" : ` TEMPLATE ${template().database}`}`);
  return {
    connection: { ...template(), database: name },
    drop: async () => {
      await query(admin, `DROP DATABASE ${name} WITH (FORCE)`);
    },
  };
}
