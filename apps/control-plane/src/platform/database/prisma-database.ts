import { setTimeout as sleep } from "node:timers/promises";
import { PrismaPg } from "@prisma/adapter-pg";
import { isFault } from "@sallyport/base";
import type { PoolConfig } from "pg";
import { fault } from "../faults.js";
import type { Log } from "../log/log.js";
import { Prisma, PrismaClient } from "../prisma/generated/client.js";
import { Database, type Tx } from "./database.js";
import { guardTenancy } from "./tenancy-guard.js";

const ATTEMPTS = 3;
/** How long a transaction waits for a database that went away, in all. */
const OUTAGE_MS = 5_000;
const PAUSE_MS = 100;
const TIMEOUT_MS = 15_000;

/** Prisma's: serialisation failure or deadlock, and a unique constraint that lost a race is not among them. */
const CONFLICT = new Set(["P2034"]);
/** Prisma's: cannot reach, timed out, closed the connection, no transaction started in time. */
const OUTAGE = new Set(["P1001", "P1002", "P1008", "P1017", "P2024"]);
/** PostgreSQL's and Node's, as the driver adapter passes them on. */
const OUTAGE_TEXT =
  /ECONNREFUSED|ECONNRESET|ENOENT|EPIPE|\b57P0[123]\b|\b08\d\d\d\b|Connection terminated|terminating connection|not yet accepting|the database system is|Server has closed the connection|Client has encountered a connection error|timeout exceeded when trying to connect|Unable to start a transaction in the given time/i;

/** Whether an error tells that the database is away for now. */
export function isOutage(error: unknown): boolean {
  if (error instanceof Prisma.PrismaClientInitializationError) return true;
  // What we refuse says in its text what was asked for, ids with any digits among it.
  if (isFault(error)) return error.code === "platform/database-unavailable";
  if (error instanceof Prisma.PrismaClientKnownRequestError && OUTAGE.has(error.code)) return true;
  const text =
    error instanceof Error
      ? `${error.name} ${error.message} ${(error as { code?: string }).code ?? ""}`
      : String(error);
  return OUTAGE_TEXT.test(text) || (error instanceof Error && error.cause !== undefined && isOutage(error.cause));
}

function isConflict(error: unknown): boolean {
  if (error instanceof Prisma.PrismaClientKnownRequestError && CONFLICT.has(error.code)) return true;
  return error instanceof Error && /40001|40P01|deadlock detected/.test(error.message);
}

const unavailable = (cause: unknown) =>
  fault("platform/database-unavailable", "the database does not answer", { cause });

export class PrismaDatabase extends Database {
  override readonly client: PrismaClient;

  constructor(connection: PoolConfig, log: Log) {
    super();
    const adapter = new PrismaPg(
      { ...connection, max: 20, connectionTimeoutMillis: 5_000, application_name: "sallyport" },
      {
        onPoolError: (err) => log.warn({ err }, "a database connection broke"),
        statementNameGenerator: (query) => `s${hash(query.sql)}`,
      },
    );
    this.client = guardTenancy(
      new PrismaClient({ adapter, transactionOptions: { timeout: TIMEOUT_MS, maxWait: 5_000 } }),
    );
  }

  override transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    return this.patiently(async () => {
      for (let attempt = 1; ; attempt++) {
        try {
          return await this.client.$transaction(work);
        } catch (error) {
          if (!isConflict(error) || attempt === ATTEMPTS) throw error;
        }
      }
    });
  }

  override async patiently<T>(work: () => Promise<T>): Promise<T> {
    for (const until = performance.now() + OUTAGE_MS; ; await sleep(PAUSE_MS)) {
      try {
        return await work();
      } catch (error) {
        if (!isOutage(error)) throw error;
        if (performance.now() > until) throw unavailable(error);
      }
    }
  }

  override async check(): Promise<void> {
    try {
      await this.client.$queryRaw`SELECT 1`;
    } catch (error) {
      throw unavailable(error);
    }
  }

  override async close(): Promise<void> {
    await this.client.$disconnect();
  }
}

/** FNV-1a twice over, 64 bits: names prepared statements by their text. */
function hash(text: string): string {
  let [a, b] = [0x811c9dc5, 0x01000193];
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    a = Math.imul(a ^ c, 0x01000193);
    b = Math.imul(b ^ c, 0x85ebca6b);
  }
  return (a >>> 0).toString(36) + (b >>> 0).toString(36) + text.length.toString(36);
}
