import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from "@nestjs/common";
import { CONFIG, type Config } from "../../platform/config/config.js";
import { LOG, type Log } from "../../platform/log/log.js";
import { OcspService } from "./ocsp.service.js";
import { PublishedAuthorities } from "./published-authorities.js";
import { RevocationListService } from "./revocation-list.service.js";

const FIRST_MS = 60_000;
const EVERY_MS = 10 * 60_000;
const BATCH = 100;

/** Makes lists anew before they end, and signs OCSP answers ahead, where certificates name a place to ask at. */
@Injectable()
export class Publisher implements OnApplicationBootstrap, OnApplicationShutdown {
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOG) private readonly log: Log,
    private readonly published: PublishedAuthorities,
    private readonly lists: RevocationListService,
    private readonly ocsp: OcspService,
  ) {}

  onApplicationBootstrap(): void {
    if (this.config.roles.has("jobs") && this.config.pkiUrl !== undefined) this.#later(FIRST_MS);
  }

  async onApplicationShutdown(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  /** Replicas may do it at the same time. Gives how many answers were signed. */
  async run(now = new Date()): Promise<number> {
    for (const id of await this.published.due(now, BATCH)) {
      const authority = await this.published.find(id);
      if (authority && !this.#stopped) await this.lists.publish(authority, true);
    }
    let signed = 0;
    for (const id of await this.published.signing(now)) {
      for (let some = 1; some > 0 && !this.#stopped; signed += some) some = await this.ocsp.signAhead(id);
    }
    return signed;
  }

  #later(ms: number): void {
    this.#timer = setTimeout(() => {
      this.#running = this.run().then(
        (signed) => this.log.debug({ signed }, "revocation lists and OCSP answers are current"),
        (err: unknown) => this.log.warn({ err }, "lists or OCSP answers could not be made; it will be tried again"),
      );
      void this.#running.finally(() => {
        if (!this.#stopped) this.#later(EVERY_MS);
      });
    }, ms).unref();
  }
}
