import { Inject, Injectable, type OnApplicationBootstrap, type OnModuleInit } from "@nestjs/common";
import { WakeUpBus } from "../../platform/bus/bus.js";
import { CONFIG, type Config } from "../../platform/config/config.js";
import { Changes } from "../../platform/database/changes.js";
import type { Tx } from "../../platform/database/database.js";
import { LOG, type Log } from "../../platform/log/log.js";
import type { JobContext, JobRunner } from "../../platform/outbox/job.js";
import { Jobs } from "../../platform/outbox/jobs.js";
import { Outbox } from "../../platform/outbox/outbox.js";
import type { Gateway, Rollout, RolloutItem } from "../../platform/prisma/generated/client.js";
import { systemContext } from "../../platform/tenancy.js";
import { AuditService } from "../audit/audit.service.js";
import { EventService } from "../events/event.service.js";
import { HeldRevisions } from "../intents/held-revisions.js";
import { SiteWindows } from "../maintenance/site-windows.js";
import { placesOpenAt } from "../maintenance/window.js";
import { ADVANCE_ROLLOUT, type AdvanceRollout } from "./jobs.js";
import { type Push, RolloutRollback } from "./rollout-rollback.js";
import { OPEN, RolloutStarter } from "./rollout-starter.js";
import { StageWatch } from "./stage-watch.js";
import { nextStage } from "./stages.js";

/** Agents that are away and windows that are closed are looked at so often. */
const WAIT_MS = 5_000;
/** A rollout that is before this one, so often. */
const TURN_MS = 1_000;
/** The relay finds by itself what is owed later within a second. */
const WAKE_MS = 1_000;

type Waiting = RolloutItem & {
  readonly gateway: Pick<Gateway, "siteId"> & { readonly memberships: readonly { readonly networkId: string }[] };
};

interface Turn {
  /** When to go on; undefined: not by itself. */
  readonly next: number | undefined;
  readonly pushes: readonly Push[];
  /** Whether there is anything to tell. */
  readonly isNews: boolean;
}

/**
 * Takes rollouts forward, stage by stage, from what the database says. Each turn is one transaction that also writes the next turn's job
 * down: it may die anywhere, and a turn that is run again does nothing.
 */
@Injectable()
export class RolloutDriver implements JobRunner<AdvanceRollout>, OnModuleInit, OnApplicationBootstrap {
  readonly type = ADVANCE_ROLLOUT;

  constructor(
    private readonly changes: Changes,
    private readonly starter: RolloutStarter,
    private readonly rollback: RolloutRollback,
    private readonly stages: StageWatch,
    private readonly held: HeldRevisions,
    private readonly windows: SiteWindows,
    private readonly events: EventService,
    private readonly audit: AuditService,
    private readonly outbox: Outbox,
    private readonly bus: WakeUpBus,
    private readonly jobs: Jobs,
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOG) private readonly log: Log,
  ) {}

  onModuleInit(): void {
    this.jobs.register(this);
  }

  async onApplicationBootstrap(): Promise<void> {
    if (!this.config.roles.has("jobs")) return;
    await this.starter
      .kickAll()
      .catch((err: unknown) => this.log.warn({ err }, "rollouts were not looked at; their jobs will"));
  }

  async run({ rolloutId, tick }: AdvanceRollout, { organizationId }: JobContext): Promise<void> {
    const turn = await this.changes.commit({ organizationId }, async (tx) => {
      const rollout = await tx.rollout.findUnique({ where: { organizationId, id: rolloutId } });
      if (rollout?.tick !== tick || !OPEN.includes(rollout.state)) return undefined;
      const taken = await this.#advance(tx, rollout);
      if (taken.next !== undefined) await this.starter.kick(tx, rollout, new Date(taken.next));
      return taken;
    });
    if (!turn) return;
    const { next, pushes, isNews } = turn;
    if (next !== undefined)
      setTimeout(() => this.outbox.wake(), Math.min(Math.max(0, next - Date.now()), WAKE_MS)).unref();
    await this.tell(organizationId, pushes, isNews ? rolloutId : undefined);
  }

  /** Wakes whoever holds the streams of these gateways, and the rollout's subscribers. What gets lost is told again or looked for. */
  async tell(organizationId: string, pushes: readonly Push[], rolloutId: string | undefined): Promise<void> {
    const told = pushes.map((push) => this.bus.publish("intent", { organizationId, ...push }));
    if (rolloutId !== undefined) told.push(this.bus.publish("rollout", { organizationId, rolloutId }));
    for (const { reason } of (await Promise.allSettled(told)).filter((t) => t.status === "rejected")) {
      this.log.warn({ err: reason, organizationId }, "a wake-up of a rollout was not sent");
    }
  }

  async #advance(tx: Tx, rollout: Rollout): Promise<Turn> {
    const { organizationId, id, pushedAt } = rollout;
    if (!pushedAt) return this.#begin(tx, rollout);
    const verdict = await this.stages.judge(tx, rollout, pushedAt);
    if (verdict.is === "waiting") return { next: verdict.until, pushes: verdict.unsent, isNews: false };
    if (verdict.is === "failed") {
      const pushes = await this.rollback.run(tx, rollout, verdict.why);
      const { code, message, facts } = verdict.why;
      await this.audit.record(tx, systemContext(organizationId, "rollout"), {
        action: "rollBackRollout",
        target: { kind: "rollout", id },
        after: { code, message, ...facts, gateways: pushes.map((push) => push.gatewayId) },
      });
      this.log.warn({ organizationId, rollout: id, code }, `a rollout was rolled back: ${message}`);
      return { next: undefined, pushes, isNews: true };
    }
    await tx.rolloutItem.updateMany({
      where: { organizationId, rolloutId: id, state: "PUSHED" },
      data: { state: "DONE" },
    });
    const nextAt = new Date(Date.now() + rollout.pauseSeconds * 1000);
    const data = { pushedAt: null, ackedAt: null, watched: {}, nextAt };
    return this.#begin(tx, await tx.rollout.update({ where: { organizationId, id }, data }));
  }

  /** The next stage, when its time has come. */
  async #begin(tx: Tx, rollout: Rollout): Promise<Turn> {
    const { organizationId, id, stage, state, nextAt } = rollout;
    const waiting = await this.#waiting(tx, rollout);
    if (waiting.length === 0) return this.#finish(tx, rollout);
    if (state === "PAUSED") return { next: undefined, pushes: [], isNews: true };
    const now = Date.now();
    if (nextAt && nextAt.getTime() > now) return { next: nextAt.getTime(), pushes: [], isNews: true };
    const before = { organizationId, id: { lt: id }, state: { in: OPEN } };
    if ((await tx.rollout.count({ where: before })) > 0) return { next: now + TURN_MS, pushes: [], isNews: false };
    const { chosen, isNews } = await this.#choose(tx, rollout, waiting);
    if (chosen.size === 0) return { next: now + WAIT_MS, pushes: [], isNews: isNews || nextAt !== null };
    const pushes = waiting.flatMap(({ gatewayId, revision }) => (chosen.has(gatewayId) ? { gatewayId, revision } : []));
    const revisions = pushes.map(({ gatewayId, revision: number }) => ({ gatewayId, number }));
    const released = await this.held.release(tx, organizationId, revisions);
    const sent = pushes.filter((push) => released.has(push.gatewayId));
    await this.#drop(
      tx,
      rollout,
      [...chosen].filter((gatewayId) => !released.has(gatewayId)),
    );
    if (sent.length === 0) return { next: now, pushes: [], isNews: false };
    const gatewayIds = sent.map((push) => push.gatewayId);
    await tx.$executeRaw`
      UPDATE rollout_items i SET state = 'PUSHED', stage = ${stage + 1}, former = g.acked_revision, waiting_for = NULL
      FROM gateways g
      WHERE i.organization_id = ${organizationId}::uuid AND i.rollout_id = ${id}::uuid
        AND i.gateway_id = ANY(${gatewayIds}::uuid[]) AND g.id = i.gateway_id`;
    const watched = await this.stages.tunnelsUp(tx, organizationId, gatewayIds);
    const data = { stage: stage + 1, pushedAt: new Date(now), ackedAt: null, nextAt: null, watched };
    await tx.rollout.update({ where: { organizationId, id }, data });
    return { next: now, pushes: sent, isNews: true };
  }

  /** Those whose turn has not come, in their order, without those who are there no more. */
  async #waiting(tx: Tx, rollout: Rollout): Promise<Waiting[]> {
    const { organizationId, id: rolloutId } = rollout;
    const memberships = { where: { role: "HUB" }, select: { networkId: true } } as const;
    const rows = await tx.rolloutItem.findMany({
      where: { organizationId, rolloutId, state: "PENDING" },
      orderBy: { position: "asc" },
      include: { gateway: { select: { siteId: true, state: true, memberships } } },
    });
    const gone = rows.filter((row) => row.gateway.state === "RETIRED");
    await this.#drop(
      tx,
      rollout,
      gone.map((row) => row.gatewayId),
    );
    return rows.filter((row) => !gone.includes(row));
  }

  async #drop(tx: Tx, { organizationId, id: rolloutId }: Rollout, gatewayIds: readonly string[]): Promise<void> {
    if (gatewayIds.length === 0) return;
    const where = { organizationId, rolloutId, gatewayId: { in: [...gatewayIds] } };
    await tx.rolloutItem.updateMany({ where, data: { state: "SUPERSEDED", waitingFor: null } });
  }

  /** Writes down what keeps the others, which is news when it is another reason than before. */
  async #choose(tx: Tx, rollout: Rollout, waiting: readonly Waiting[]) {
    const { organizationId, stage } = rollout;
    const now = new Date();
    const windows = await this.windows.ofGateways(organizationId, tx);
    const where = { organizationId, gatewayId: { in: waiting.map((item) => item.gatewayId) } };
    const sessions = await tx.agentSession.findMany({ where, select: { gatewayId: true } });
    const connected = new Set(sessions.map((session) => session.gatewayId));
    const keeps = waiting.map(({ gatewayId }) => {
      const opening = placesOpenAt([windows.get(gatewayId) ?? []], now);
      if (opening > now) return `its site's maintenance window, which opens at ${opening.toISOString()}`;
      return connected.has(gatewayId) ? null : "its agent, which is not connected";
    });
    let isNews = false;
    for (const [waitingFor, some] of Map.groupBy(waiting.keys(), (i) => keeps[i] ?? null)) {
      const ids = some.flatMap((i) => (waiting[i] && waiting[i].waitingFor !== waitingFor ? waiting[i].id : []));
      if (ids.length === 0) continue;
      isNews = true;
      await tx.rolloutItem.updateMany({ where: { organizationId, id: { in: ids } }, data: { waitingFor } });
    }
    const candidates = waiting.map(({ gatewayId, coupling, gateway }, i) => {
      const hubOf = gateway.memberships.map((member) => member.networkId);
      return { gatewayId, siteId: gateway.siteId, hubOf, coupling, isReady: keeps[i] === null };
    });
    const total = await tx.rolloutItem.count({ where: { organizationId, rolloutId: rollout.id } });
    return { chosen: new Set(nextStage(candidates, rollout, total, stage === 0)), isNews };
  }

  async #finish(tx: Tx, { organizationId, id: rolloutId }: Rollout): Promise<Turn> {
    const done = await tx.rolloutItem.count({ where: { organizationId, rolloutId, state: "DONE" } });
    const data = { state: done > 0 ? "DONE" : "SUPERSEDED", finishedAt: new Date(), nextAt: null } as const;
    await tx.rollout.update({ where: { organizationId, id: rolloutId }, data });
    if (done > 0) {
      await this.events.record(tx, organizationId, {
        kind: "rollout/done",
        severity: "INFO",
        message: `a rollout is done: ${done} ${done === 1 ? "gateway has" : "gateways have"} the change`,
        facts: { rollout: rolloutId, gateways: String(done) },
      });
    }
    return { next: undefined, pushes: [], isNews: true };
  }
}
