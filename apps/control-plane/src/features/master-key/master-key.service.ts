import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from "@nestjs/common";
import { isFault } from "@sallyport/base";
import { CONFIG, type Config } from "../../platform/config/config.js";
import { Database } from "../../platform/database/database.js";
import { LOG, type Log } from "../../platform/log/log.js";
import { Periodic } from "../../platform/periodic.js";
import { systemContext } from "../../platform/tenancy.js";
import { MasterKeyRotations } from "../rotations/master-key.service.js";
import { Resealing } from "./resealing.js";
import { SEALED_TABLES } from "./sealed-tables.js";

const FIRST_MS = 10_000;
const EVERY_MS = 3_600_000;
const AUTOMATIC = { batch: 1, patienceSeconds: 3_600, hold: false };

/** Notices that another master key is the first one, and has everything sealed under it. Replicas may do it at the same time. */
@Injectable()
export class MasterKeyService implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #periodic: Periodic;

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOG) private readonly log: Log,
    private readonly database: Database,
    private readonly resealing: Resealing,
    private readonly rotations: MasterKeyRotations,
  ) {
    this.#periodic = new Periodic(async () => void (await this.run()), log);
  }

  onApplicationBootstrap(): void {
    if (this.config.roles.has("jobs")) this.#periodic.start(FIRST_MS, EVERY_MS);
  }

  onApplicationShutdown(): Promise<void> {
    return this.#periodic.stop();
  }

  /**
   * Seals again what is the installation's, and begins a rotation in every organization that has something to be sealed again. Gives how
   * many values of the installation were sealed.
   * @throws platform/unsealable when an old key is not configured any more
   */
  async run(): Promise<number> {
    let sealed = 0;
    for (const table of SEALED_TABLES) {
      for (let some = 1; some > 0 && !this.#periodic.stopped; sealed += some) {
        some = await this.resealing.some(table, null);
      }
    }
    if (sealed > 0) this.log.info({ sealed }, "the installation's keys are sealed under the first master key");
    for (const { id } of await this.database.client.organization.findMany({ select: { id: true } })) {
      await this.#begin(id);
    }
    return sealed;
  }

  async #begin(organizationId: string): Promise<void> {
    try {
      await this.rotations.begin(systemContext(organizationId, "master key"), AUTOMATIC);
    } catch (error) {
      if (!isFault(error, "rotation/nothing-to-do") && !isFault(error, "rotation/under-way")) throw error;
    }
  }
}
