import { Inject, Injectable } from "@nestjs/common";
import { type Channel, type Message, WakeUpBus } from "../bus/bus.js";
import type { Tx } from "../database/database.js";
import { LOG, type Log } from "../log/log.js";
import type { JobType } from "./job.js";

/** Work that a change owes, written down in the change's own transaction. */
@Injectable()
export class Outbox {
  readonly #wakeUps = new WeakMap<Tx, readonly (() => Promise<void>)[]>();

  constructor(
    private readonly bus: WakeUpBus,
    @Inject(LOG) private readonly log: Log,
  ) {}

  /** Without `notBefore`, the work is owed at once. */
  async add<P extends object>(
    tx: Tx,
    organizationId: string,
    type: JobType<P>,
    payload: P,
    notBefore?: Date,
  ): Promise<void> {
    await tx.outbox.create({
      data: { organizationId, job: type.name, payload: payload as object, notBefore: notBefore ?? null },
      select: { id: true },
    });
  }

  /** Wakes others by the transaction's commit itself, for what cannot wait behind other jobs. It may be lost: a job does it again. */
  wakeOthers<C extends Channel>(tx: Tx, channel: C, message: Message<C>): void {
    const send = () => this.bus.publish(channel, message);
    this.#wakeUps.set(tx, [...(this.#wakeUps.get(tx) ?? []), send]);
  }

  /** Call it after the commit, with the transaction when others wait for it. Without it the relay finds the rows a moment later. */
  wake(tx?: Tx): void {
    for (const send of (tx && this.#wakeUps.get(tx)) ?? []) {
      send().catch((err: unknown) => this.log.warn({ err }, "a wake-up was not sent; a job will send it"));
    }
    this.bus.publish("outbox", {}).catch((err: unknown) => this.log.warn({ err }, "the outbox relay was not woken"));
  }
}
