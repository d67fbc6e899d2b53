import type { Prisma, PrismaClient } from "../prisma/generated/client.js";

/** A transaction. Stores and services take one whenever what they do belongs to a larger change. */
export type Tx = Prisma.TransactionClient;

/** Where rows live. Reads go to `client`; changes go through `transaction`. */
export abstract class Database {
  abstract readonly client: PrismaClient;
  /**
   * Runs `work` in one transaction (read committed) and runs it again, at most thrice, when PostgreSQL gave up on it for a
   * serialisation failure, a deadlock or a lost connection before commit: `work` has no effect but through `tx`.
   */
  abstract transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T>;
  /** Runs `work`, and again while the database is away, for a few seconds: for what may be read twice, outside a transaction. */
  abstract patiently<T>(work: () => Promise<T>): Promise<T>;
  /** Resolves when the database answers; rejects with `platform/database-unavailable`. */
  abstract check(): Promise<void>;
  abstract close(): Promise<void>;
}
