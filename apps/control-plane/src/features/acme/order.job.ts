import { setTimeout as sleep } from "node:timers/promises";
import { Inject, Injectable, type OnModuleInit } from "@nestjs/common";
import { isFault } from "@sallyport/base";
import { Database } from "../../platform/database/database.js";
import { LOG, type Log } from "../../platform/log/log.js";
import type { JobContext, JobRunner } from "../../platform/outbox/job.js";
import { Jobs } from "../../platform/outbox/jobs.js";
import { Outbox } from "../../platform/outbox/outbox.js";
import { Prisma } from "../../platform/prisma/generated/client.js";
import { EventService } from "../events/event.service.js";
import { fault } from "./faults.js";
import { ADVANCE_ORDER, type AdvanceOrder } from "./jobs.js";
import { type OrderInHand, OrderSteps, type Step } from "./order-steps.js";
import { type Failure, failureOf } from "./problem.js";

/** A job waits so long for the directory; then it gives its place to others and comes back. */
const PATIENCE_MS = 10_000;
/** Pause after the first failed attempt; it doubles, up to the most. */
const RETRY_MS = { first: 3_000, most: 3_600_000 } as const;
/** An order is tried for so long. */
const GIVE_UP_MS = 86_400_000;

/** Brings an order on, step by step, each written down before the next. It may stop anywhere, and run twice. */
@Injectable()
export class OrderJob implements JobRunner<AdvanceOrder>, OnModuleInit {
  readonly type = ADVANCE_ORDER;

  constructor(
    private readonly database: Database,
    private readonly steps: OrderSteps,
    private readonly events: EventService,
    private readonly outbox: Outbox,
    private readonly jobs: Jobs,
    @Inject(LOG) private readonly log: Log,
  ) {}

  onModuleInit(): void {
    this.jobs.register(this);
  }

  async run({ orderId }: AdvanceOrder, { organizationId }: JobContext): Promise<void> {
    const until = performance.now() + PATIENCE_MS;
    for (;;) {
      const order = await this.#load(organizationId, orderId);
      if (order === null || order.finishedAt !== null) return;
      let step: Step;
      try {
        step = await this.steps.next(order);
      } catch (error) {
        await this.#failed(order, error);
        return;
      }
      if (!(await this.#write(order, step))) return;
      if (step.wait === undefined) continue;
      if (performance.now() + step.wait > until) return;
      await sleep(step.wait);
    }
  }

  #load(organizationId: string, id: string): Promise<OrderInHand | null> {
    const include = { acmeCertificate: { include: { gateway: true } } } as const;
    return this.database.client.acmeOrder.findFirst({ where: { organizationId, id }, include });
  }

  /** False when somebody else has brought it on meanwhile. */
  async #write(order: OrderInHand, { patch = {}, wait = 0, also }: Step): Promise<boolean> {
    const { organizationId, id, state } = order;
    const written = await this.database.transaction(async (tx) => {
      const { count } = await tx.acmeOrder.updateMany({
        where: { organizationId, id, state },
        data: {
          attempts: 0,
          failure: Prisma.DbNull,
          dueAt: new Date(Date.now() + Math.max(wait, PATIENCE_MS)),
          ...patch,
        },
      });
      if (count === 0) return false;
      await also?.(tx);
      return true;
    });
    if (written && also) this.outbox.wake();
    return written;
  }

  async #failed(order: OrderInHand, error: unknown): Promise<void> {
    const { organizationId, id, names, attempts, createdAt } = order;
    this.log.warn({ err: error, order: id, names, attempts }, "a step of an order failed");
    const failure = failureOf(error);
    const old = Date.now() - createdAt.getTime() > GIVE_UP_MS;
    if (failure.retry && !old) {
      const asked = isFault(error) ? Number(error.facts.retryAfter ?? 0) * 1000 : 0;
      const pause = Math.max(asked, Math.min(RETRY_MS.first * 2 ** attempts, RETRY_MS.most));
      await this.database.client.acmeOrder.updateMany({
        where: { organizationId, id, finishedAt: null },
        data: { attempts: attempts + 1, failure, dueAt: new Date(Date.now() + pause * (1 + Math.random() / 5)) },
      });
      return;
    }
    await this.#giveUp(order, failure.retry ? failureOf(givenUp(failure)) : failure);
  }

  async #giveUp(order: OrderInHand, failure: Failure): Promise<void> {
    const { organizationId, id, names, acmeCertificate } = order;
    await this.steps.withdraw(order);
    await this.database.transaction(async (tx) => {
      const { count } = await tx.acmeOrder.updateMany({
        where: { organizationId, id, finishedAt: null },
        data: { state: "FAILED", failure, dueAt: null, finishedAt: new Date(), tokens: [] },
      });
      if (count === 0) return;
      await this.events.record(tx, organizationId, {
        kind: "acme/order-failed",
        severity: "ERROR",
        message: `no certificate for ${names[0]}: ${failure.message}`,
        facts: { order: id, code: failure.code, ...(failure.problem && { problem: failure.problem.type }) },
        siteId: acmeCertificate.gateway.siteId,
        gatewayId: acmeCertificate.gatewayId,
      });
    });
  }
}

const givenUp = ({ code, message, problem }: Failure) =>
  fault("acme/given-up", `tried for a day; the last attempt: ${message}`, {
    facts: { last: code, ...(problem && { problem: JSON.stringify(problem) }) },
  });
