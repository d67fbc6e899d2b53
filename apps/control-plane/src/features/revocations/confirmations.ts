import { setTimeout as sleep } from "node:timers/promises";
import { Inject, Injectable, type OnApplicationShutdown } from "@nestjs/common";
import { WakeUpBus } from "../../platform/bus/bus.js";
import { Database } from "../../platform/database/database.js";
import { isOutage } from "../../platform/database/prisma-database.js";
import { LOG, type Log } from "../../platform/log/log.js";
import { EventService } from "../events/event.service.js";
import { type Applied, type Confirmed, RevocationStore } from "./revocation.store.js";

const RETRY_MS = 300;
/** Agents that are written down at once. */
const BATCH = 1_000;
/** Between two batches. */
const TICK_MS = 25;

/**
 * Writes down which gateways have applied which revocations. The first is written at once; a whole fleet confirms within a moment, and
 * what comes while the last ones are being written, and a tick after, is written together. What is lost with the replica, agents say
 * again in their hello.
 */
@Injectable()
export class Confirmations implements OnApplicationShutdown {
  /** At most one of each gateway, of what it said last, and the counts of what it said before. */
  readonly #waiting = new Map<string, Applied>();
  #writing = false;
  #stopped = false;

  constructor(
    private readonly database: Database,
    private readonly store: RevocationStore,
    private readonly events: EventService,
    private readonly bus: WakeUpBus,
    @Inject(LOG) private readonly log: Log,
  ) {}

  onApplicationShutdown(): void {
    this.#stopped = true;
  }

  take(applied: Applied): void {
    const before = this.#waiting.get(applied.gatewayId);
    const ended = [...(before?.ended ?? []), ...applied.ended].slice(-BATCH);
    this.#waiting.set(applied.gatewayId, { ...applied, ended });
    if (!this.#writing) void this.#writeAll();
  }

  async #writeAll(): Promise<void> {
    this.#writing = true;
    while (this.#waiting.size > 0 && !this.#stopped) {
      const batch = [...this.#waiting.values()].slice(0, BATCH);
      for (const { gatewayId } of batch) this.#waiting.delete(gatewayId);
      await this.#write(batch);
      await sleep(TICK_MS);
    }
    this.#writing = false;
  }

  async #write(batch: readonly Applied[]): Promise<void> {
    while (!this.#stopped) {
      try {
        const confirmed = await this.database.transaction(async (tx) => {
          const rows = await this.store.confirm(tx, batch);
          for (const [organizationId, own] of Map.groupBy(rows, (row) => row.organizationId)) {
            await this.events.record(tx, organizationId, ...own.map(eventOf));
          }
          return rows;
        });
        await this.#tell(confirmed);
        return;
      } catch (err) {
        if (!isOutage(err)) {
          this.log.error({ err }, "confirmations of revocations could not be written and are dropped");
          return;
        }
        await sleep(RETRY_MS);
      }
    }
  }

  /** Each revocation once, however many gateways have confirmed it. */
  async #tell(confirmed: readonly Confirmed[]): Promise<void> {
    for (const { organizationId, revocationId } of new Map(confirmed.map((c) => [c.revocationId, c])).values()) {
      await this.bus
        .publish("revocationConfirmed", { organizationId, revocationId })
        .catch((err: unknown) => this.log.debug({ err }, "subscribers were not told of a confirmation"));
    }
  }
}

const eventOf = ({ revocationId, gatewayId, siteId, number, name, endedSas, confirmedAt }: Confirmed) => ({
  kind: "revocation/confirmed",
  severity: "INFO" as const,
  message: `the gateway has applied what was said of ${name}`,
  facts: { revocationId, number: String(number), endedSas: String(endedSas ?? "") },
  gatewayId,
  siteId,
  at: confirmedAt,
});
