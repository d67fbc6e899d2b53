import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from "@nestjs/common";
import { CONFIG, type Config } from "../../platform/config/config.js";
import { LOG, type Log } from "../../platform/log/log.js";
import { Periodic } from "../../platform/periodic.js";
import { OcspService } from "./ocsp.service.js";
import { PublishedAuthorities } from "./published-authorities.js";
import { RevocationListService } from "./revocation-list.service.js";

const FIRST_MS = 60_000;
const EVERY_MS = 10 * 60_000;
const BATCH = 100;

/** Makes lists anew before they end, and signs OCSP answers ahead, where certificates name a place to ask at. */
@Injectable()
export class Publisher implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #periodic: Periodic;

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOG) log: Log,
    private readonly published: PublishedAuthorities,
    private readonly lists: RevocationListService,
    private readonly ocsp: OcspService,
  ) {
    this.#periodic = new Periodic(async () => {
      log.debug({ signed: await this.run() }, "revocation lists and OCSP answers are current");
    }, log);
  }

  onApplicationBootstrap(): void {
    if (this.config.roles.has("jobs") && this.config.pkiUrl !== undefined) {
      this.#periodic.start(FIRST_MS, EVERY_MS);
    }
  }

  onApplicationShutdown(): Promise<void> {
    return this.#periodic.stop();
  }

  /** Replicas may do it at the same time. Gives how many answers were signed. */
  async run(now = new Date()): Promise<number> {
    for (const id of await this.published.due(now, BATCH)) {
      const authority = await this.published.find(id);
      if (authority && !this.#periodic.stopped) await this.lists.publish(authority, true);
    }
    let signed = 0;
    for (const id of await this.published.signing(now)) {
      for (let some = 1; some > 0 && !this.#periodic.stopped; signed += some) some = await this.ocsp.signAhead(id);
    }
    return signed;
  }
}
