import { Injectable } from "@nestjs/common";
import { Database, type Tx } from "../../platform/database/database.js";
import { Vault } from "../../platform/vault/vault.js";
import { type Owner, SEALED_TABLES, type SealedTable } from "./sealed-tables.js";

/** Rows in one transaction. */
const BATCH = 100;

/**
 * Seals again, under the first master key, what others sealed. It may stop anywhere and be done again, on several replicas at the same
 * time; both keys have to be configured until it is through.
 */
@Injectable()
export class Resealing {
  constructor(
    private readonly database: Database,
    private readonly vault: Vault,
  ) {}

  /**
   * Gives how many values of the owner were sealed again, a transaction's worth at the most; `first` is called inside of it.
   * @throws platform/unsealable when an old key is not configured any more
   */
  some(table: SealedTable, owner: Owner, first: (tx: Tx) => Promise<void> = async () => {}): Promise<number> {
    return this.database.transaction(async (tx) => {
      await first(tx);
      let written = 0;
      for (const row of await table.stale(tx, owner, this.vault.keyId, BATCH)) {
        const plain = this.vault.unseal(row.place, row);
        try {
          written += (await table.write(tx, row, this.vault.seal(row.place, plain))).count;
        } finally {
          plain.fill(0);
        }
      }
      return written;
    });
  }

  /** Of the first master key. */
  get keyId(): string {
    return this.vault.keyId;
  }

  /** The tables in which the owner has something that another key sealed. */
  async stale(tx: Tx, owner: Owner): Promise<SealedTable[]> {
    const tables: SealedTable[] = [];
    for (const table of SEALED_TABLES) if (await this.isStale(tx, table, owner)) tables.push(table);
    return tables;
  }

  async isStale(tx: Tx, table: SealedTable, owner: Owner): Promise<boolean> {
    return (await table.stale(tx, owner, this.vault.keyId, 1)).length > 0;
  }
}
