import { Inject, Injectable, type OnApplicationBootstrap, type OnModuleInit } from "@nestjs/common";
import { type Fault, isFault } from "@sallyport/base";
import { WakeUpBus } from "../../platform/bus/bus.js";
import { CONFIG, type Config } from "../../platform/config/config.js";
import { Database } from "../../platform/database/database.js";
import { LOG, type Log } from "../../platform/log/log.js";
import type { JobContext, JobRunner } from "../../platform/outbox/job.js";
import { Jobs } from "../../platform/outbox/jobs.js";
import { Outbox } from "../../platform/outbox/outbox.js";
import type { Rotation, RotationItem } from "../../platform/prisma/generated/client.js";
import { EventService } from "../events/event.service.js";
import { SiteWindows } from "../maintenance/site-windows.js";
import { placesOf, placesOpenAt } from "../maintenance/window.js";
import { fault } from "./faults.js";
import { ADVANCE_ROTATION, type AdvanceRotation } from "./jobs.js";
import { type Held, RotationStore } from "./rotation.store.js";
import { RotationStarter } from "./rotation-starter.js";
import { type Guard, isHeldBack, type Saga, type SagaStep, stepAfter, stepOf } from "./saga.js";
import { Sagas } from "./sagas.js";

/** What is waited for is looked at so often. */
const LOOK_MS = 500;
/** A rotation that another replica works at, so often. */
const BUSY_MS = 1_000;
/** The claim of a rotation that is worked at is renewed so often. */
const RENEW_MS = 2_000;
/** A window that is closed, so often. */
const WINDOW_MS = 30_000;

/**
 * Takes rotations forward, step by step, from what the database says. It may die anywhere and be run again: a step that was carried
 * out but not written down is carried out again, which steps allow.
 */
@Injectable()
export class RotationDriver implements JobRunner<AdvanceRotation>, OnModuleInit, OnApplicationBootstrap {
  readonly type = ADVANCE_ROTATION;

  constructor(
    private readonly database: Database,
    private readonly store: RotationStore,
    private readonly sagas: Sagas,
    private readonly outbox: Outbox,
    private readonly events: EventService,
    private readonly bus: WakeUpBus,
    private readonly jobs: Jobs,
    private readonly starter: RotationStarter,
    private readonly windows: SiteWindows,
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOG) private readonly log: Log,
  ) {}

  onModuleInit(): void {
    this.jobs.register(this);
  }

  async onApplicationBootstrap(): Promise<void> {
    if (this.config.roles.has("jobs")) await this.resume();
  }

  /** Who has the jobs of rotations may be dead, which their queue sees late. Who lives loses nothing: of two jobs, one goes on. */
  async resume(): Promise<void> {
    try {
      for (const rotation of await this.store.underWay()) {
        await this.database.transaction((tx) => this.starter.kick(tx, rotation));
      }
    } catch (err) {
      this.log.warn({ err }, "rotations were not looked at; their jobs will");
    }
  }

  async run({ rotationId, tick }: AdvanceRotation, { organizationId }: JobContext): Promise<void> {
    const claim = await this.store.claim(organizationId, rotationId, tick);
    if (claim === "outdated") return;
    if (claim === "busy") return this.#later(organizationId, rotationId, tick, Date.now() + BUSY_MS);
    const { rotation } = claim;
    const renewing = setInterval(() => this.store.renew(rotation).catch(() => undefined), RENEW_MS);
    try {
      const next = await this.#advance(rotation);
      // The relay finds what is owed later within a second of its time, and at it when it is woken.
      if (next !== undefined)
        setTimeout(() => this.outbox.wake(), Math.min(Math.max(0, next - Date.now()), LOOK_MS)).unref();
      await this.database.transaction(async (tx) => {
        await this.store.release(rotation, tx);
        const number = await this.store.nextTick(tx, rotation);
        if (next === undefined || number === undefined) return;
        await this.outbox.add(tx, organizationId, ADVANCE_ROTATION, { rotationId, tick: number }, new Date(next));
      });
    } catch (error) {
      await this.store.release(rotation).catch(() => undefined);
      throw error;
    } finally {
      clearInterval(renewing);
      await this.bus
        .publish("rotation", { organizationId, rotationId })
        .catch((err: unknown) => this.log.warn({ err, rotationId }, "subscribers were not woken"));
    }
  }

  /** The one that works at it may have died: its claim ends, and somebody has to be there then. */
  #later(organizationId: string, rotationId: string, tick: number, at: number): Promise<void> {
    const payload = { rotationId, tick };
    return this.database.transaction((tx) =>
      this.outbox.add(tx, organizationId, ADVANCE_ROTATION, payload, new Date(at)),
    );
  }

  /** Gives when to go on; undefined: not by itself. */
  async #advance(rotation: Held): Promise<number | undefined> {
    const { state, startAt } = rotation;
    const now = Date.now();
    if (state !== "RUNNING" && state !== "ABORTING") return undefined;
    if (state === "RUNNING" && startAt && startAt.getTime() > now) return startAt.getTime();
    const saga = this.sagas.of(rotation.kind);
    const open = await this.store.openItems(rotation);
    const running = open.filter((item) => item.state === "RUNNING");
    const pending = open.filter((item) => item.state === "PENDING");
    let isClosed = false;
    if (state === "ABORTING") {
      await this.#skip(pending, "aborted before its turn");
    } else if (running.length < rotation.batch) {
      const startable = await this.#startable(rotation, saga, pending);
      isClosed = startable.length === 0;
      running.push(...(await this.#begin(rotation, startable.slice(0, rotation.batch - running.length))));
    }
    for (const item of running) {
      const failed = await this.#drive(rotation, saga, item);
      if (failed) return this.#fail(rotation, item, failed);
    }
    const left = await this.store.openItems(rotation);
    if (left.length === 0) return this.#finish(rotation);
    return Date.now() + (left.some((item) => item.state === "RUNNING") ? LOOK_MS : isClosed ? WINDOW_MS : 0);
  }

  /** Those whose window is open: the rotation's own, or else those of the sites whose tunnels they touch. */
  async #startable(rotation: Rotation, saga: Saga, pending: readonly RotationItem[]): Promise<RotationItem[]> {
    if (pending.length === 0) return [];
    const { organizationId } = rotation;
    const ofSites = await this.windows.ofGateways(organizationId);
    const subjects = pending.map((item) => item.subjectId);
    const touched = ofSites.size > 0 ? await saga.gateways?.(organizationId, subjects) : undefined;
    const now = new Date();
    return pending.filter(({ subjectId }) => {
      const gateways = touched?.get(subjectId) ?? [];
      const places = placesOf(
        rotation,
        gateways.map((id) => ofSites.get(id) ?? []),
      );
      return placesOpenAt(places, now) <= now;
    });
  }

  async #begin(rotation: Rotation, startable: readonly RotationItem[]): Promise<RotationItem[]> {
    if (startable.length === 0) return [];
    const now = new Date();
    const begun: RotationItem[] = [];
    for (const item of startable) {
      const data = { state: "RUNNING", startedAt: now, stepAt: now } as const;
      const row = await this.store.change(item, data, { itemId: item.id, what: "begun" });
      if (row) begun.push(row);
    }
    if (!rotation.startedAt) {
      await this.database.transaction((tx) => this.store.move(tx, rotation, ["RUNNING"], { startedAt: now }));
    }
    return begun;
  }

  async #skip(pending: readonly RotationItem[], note: string): Promise<void> {
    for (const item of pending) {
      const data = { state: "SKIPPED", finishedAt: new Date() } as const;
      await this.store.change(item, data, { itemId: item.id, what: "skipped", note });
    }
  }

  /** As far as it gets now; gives why it cannot go on. */
  async #drive(rotation: Held, saga: Saga, begun: RotationItem): Promise<Fault | undefined> {
    let item = begun;
    while (item.state === "RUNNING") {
      const fresh = await this.store.renew(rotation);
      if (fresh?.state !== "RUNNING" && fresh?.state !== "ABORTING") return undefined;
      try {
        const moved = await this.#step(fresh, saga, item);
        if (!moved) return undefined;
        item = moved;
      } catch (error) {
        if (!isFault(error)) throw error;
        if (error.code === "rotation/subject-gone") {
          await this.#skip([item], error.message);
          return undefined;
        }
        if (error.code === "rotation/overtaken") return undefined;
        if (error.policy.retry) return this.#wait(fresh, item, error.message, error);
        return error;
      }
    }
    return undefined;
  }

  /** Gives the item as it is after the step; undefined: there is nothing more to do now. */
  async #step(rotation: Rotation, saga: Saga, item: RotationItem): Promise<RotationItem | undefined> {
    const step = stepOf(saga, item.step);
    const { id: itemId } = item;
    if (rotation.state === "ABORTING" && step !== saga.undo && !(await saga.isSwitched(item))) {
      const data = { step: saga.undo.name, stepAt: new Date(), performedAt: null, waitingFor: null };
      return this.store.change(item, data, { itemId, step: saga.undo.name, what: "undoing" });
    }
    if (isDue(step, item)) {
      // What an abort finds switched was carried out up to the switch, even if nobody lived to tell.
      const committed = rotation.state === "ABORTING" && isHeldBack(saga, step.name);
      if (!committed) await step.perform(item, this.#guard(saga, item));
      const told = item.performedAt ? [] : [{ itemId, step: step.name, what: "performed" }];
      return this.store.change(item, { performedAt: new Date() }, ...told);
    }
    const waitingFor = await step.waitsFor(item);
    if (waitingFor !== undefined) {
      const late = await this.#wait(rotation, item, waitingFor);
      if (late && !step.lasting) throw late;
      return undefined;
    }
    const next = stepAfter(saga, step.name);
    const told = { itemId, step: step.name, what: "confirmed" };
    if (next) {
      const data = { step: next.name, stepAt: new Date(), performedAt: null, waitingFor: null };
      return this.store.change(item, data, told);
    }
    const state = step === saga.undo ? "ROLLED_BACK" : "DONE";
    const data = { state, waitingFor: null, finishedAt: new Date() } as const;
    return this.store.change(item, data, told);
  }

  /** Writes down what is waited for; gives a fault when that takes too long. */
  async #wait(rotation: Rotation, item: RotationItem, waitingFor: string, cause?: Fault): Promise<Fault | undefined> {
    if (item.waitingFor !== waitingFor) await this.store.change(item, { waitingFor });
    if (Date.now() - item.stepAt.getTime() < rotation.patience * 1000) return undefined;
    const message = `${item.name}: ${item.step} was not confirmed within ${rotation.patience} s: ${waitingFor}`;
    return fault("rotation/not-confirmed", message, { cause });
  }

  #guard(saga: Saga, { organizationId, rotationId, id, step }: RotationItem): Guard {
    return async (tx) => {
      const rotation = await this.store.lock(tx, organizationId, rotationId);
      const item = await this.store.item(tx, organizationId, id);
      const wanted = rotation?.state === "RUNNING" || (rotation?.state === "ABORTING" && !isHeldBack(saga, step));
      if (wanted && item?.state === "RUNNING" && item.step === step) return;
      throw fault("rotation/overtaken", "the rotation was paused or aborted, or is further than this");
    };
  }

  async #fail(rotation: Rotation, item: RotationItem, error: Fault): Promise<undefined> {
    const { organizationId } = rotation;
    await this.database.transaction(async (tx) => {
      const told = { itemId: item.id, step: item.step, what: "failed", note: error.message };
      const data = { state: "FAILED", failure: error.message } as const;
      if (!(await this.store.move(tx, rotation, ["RUNNING", "ABORTING"], data, told))) return;
      await this.events.record(tx, organizationId, {
        kind: "rotation/failed",
        severity: "ERROR",
        message: `a rotation stopped: ${error.message}`,
        facts: { rotation: rotation.id, code: error.code, step: item.step },
      });
    });
  }

  async #finish({ organizationId, id }: Rotation): Promise<undefined> {
    await this.database.transaction(async (tx) => {
      // An operator may have aborted it after the last item was through.
      const now = await this.store.lock(tx, organizationId, id);
      const aborted = now?.state === "ABORTING";
      const data = { state: aborted ? "ABORTED" : "DONE", finishedAt: new Date() } as const;
      const what = aborted ? "aborted" : "done";
      if (!now || !(await this.store.move(tx, now, ["RUNNING", "PAUSED", "ABORTING"], data, { what }))) return;
      await this.events.record(tx, organizationId, {
        kind: `rotation/${what}`,
        severity: "INFO",
        message: aborted ? "a rotation was aborted" : "a rotation is done",
        facts: { rotation: id },
      });
    });
  }
}

function isDue({ repeat }: SagaStep, { performedAt }: RotationItem): boolean {
  return performedAt === null || (repeat !== undefined && Date.now() - performedAt.getTime() > repeat * 1000);
}
