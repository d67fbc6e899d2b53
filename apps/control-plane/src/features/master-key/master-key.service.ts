import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from "@nestjs/common";
import { CONFIG, type Config } from "../../platform/config/config.js";
import { Database } from "../../platform/database/database.js";
import { LOG, type Log } from "../../platform/log/log.js";
import { Vault } from "../../platform/vault/vault.js";
import { SEALED_TABLES, type SealedTable } from "./sealed-tables.js";

const FIRST_MS = 10_000;
const EVERY_MS = 3_600_000;
/** Rows in one transaction. */
const BATCH = 100;

/**
 * Seals again, under the first master key, what others sealed. It may stop anywhere and be done again, on several replicas at the same
 * time; both keys have to be configured until it is through.
 */
@Injectable()
export class MasterKeyService implements OnApplicationBootstrap, OnApplicationShutdown {
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOG) private readonly log: Log,
    private readonly database: Database,
    private readonly vault: Vault,
  ) {}

  onApplicationBootstrap(): void {
    if (this.config.roles.has("jobs")) this.#later(FIRST_MS);
  }

  async onApplicationShutdown(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  /** Gives how many values were sealed again. @throws platform/unsealable when an old key is not configured any more */
  async run(): Promise<number> {
    let all = 0;
    for (const table of SEALED_TABLES) {
      for (let some = 1; some > 0 && !this.#stopped; all += some) some = await this.#batch(table);
    }
    return all;
  }

  #batch(table: SealedTable): Promise<number> {
    return this.database.transaction(async (tx) => {
      let written = 0;
      for (const row of await table.stale(tx, this.vault.keyId, BATCH)) {
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

  #later(ms: number): void {
    this.#timer = setTimeout(() => {
      this.#running = this.run().then(
        (sealed) => {
          if (sealed > 0) this.log.info({ sealed, keyId: this.vault.keyId }, "sealed again under the first master key");
        },
        (err: unknown) => this.log.error({ err }, "not everything could be sealed again; it will be tried again"),
      );
      void this.#running.finally(() => {
        if (!this.#stopped) this.#later(EVERY_MS);
      });
    }, ms).unref();
  }
}
