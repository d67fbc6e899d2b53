import { Injectable } from "@nestjs/common";
import { Database, type Tx } from "../../platform/database/database.js";
import { ANY_ORGANIZATION } from "../../platform/database/tenancy-guard.js";
import { Outbox } from "../../platform/outbox/outbox.js";
import type { Rollout, RolloutPolicy } from "../../platform/prisma/generated/client.js";
import type { RolloutState } from "../../platform/prisma/generated/enums.js";
import { EventService } from "../events/event.service.js";
import { ADVANCE_ROLLOUT } from "./jobs.js";
import { couplings } from "./stages.js";

/** Rollouts that are not over. */
export const OPEN: RolloutState[] = ["RUNNING", "PAUSED"];

/** A gateway's revision that is held. */
export interface NewItem {
  readonly gatewayId: string;
  readonly revision: number;
  /** How many connections it has now: the fewer it has, the earlier it goes. */
  readonly connections: number;
}

/** Writes rollouts down and sets them going, in the transaction of whoever wants it. */
@Injectable()
export class RolloutStarter {
  constructor(
    private readonly database: Database,
    private readonly outbox: Outbox,
    private readonly events: EventService,
  ) {}

  /** Undefined: changes reach gateways at once. */
  async policy(tx: Tx, organizationId: string): Promise<RolloutPolicy | undefined> {
    const policy = await tx.rolloutPolicy.findUnique({ where: { organizationId } });
    return policy?.mode === "STAGED" ? policy : undefined;
  }

  /**
   * Begins a rollout of all that is held. It takes over what open ones have not pushed yet, and is paused when one of them was. `bound`
   * are gateways that have to change together. The organization's row is held.
   */
  async begin(
    tx: Tx,
    { mode: _, ...policy }: RolloutPolicy,
    items: readonly NewItem[],
    bound: readonly { readonly a: string; readonly b: string }[],
  ): Promise<void> {
    const { organizationId } = policy;
    const open = await tx.rollout.findMany({ where: { organizationId, state: { in: OPEN } } });
    await tx.rolloutItem.updateMany({
      where: { organizationId, rolloutId: { in: open.map((rollout) => rollout.id) }, state: "PENDING" },
      data: { state: "SUPERSEDED", waitingFor: null },
    });
    const isPaused = open.some((rollout) => rollout.state === "PAUSED");
    const coupling = couplings(
      items.map((item) => item.gatewayId),
      bound,
    );
    const order = items.toSorted((x, y) => x.connections - y.connections || (x.gatewayId < y.gatewayId ? -1 : 1));
    const rows = order.map(({ gatewayId, revision }, position) => {
      return { organizationId, gatewayId, revision, position, coupling: coupling.get(gatewayId) ?? gatewayId };
    });
    const rollout = await tx.rollout.create({ data: { ...policy, state: isPaused ? "PAUSED" : "RUNNING" } });
    await tx.rolloutItem.createMany({ data: rows.map((row) => ({ ...row, rolloutId: rollout.id })) });
    await this.events.record(tx, organizationId, {
      kind: "rollout/begun",
      severity: "INFO",
      message: `a rollout to ${items.length} ${items.length === 1 ? "gateway" : "gateways"} begins`,
      facts: { rollout: rollout.id, gateways: String(items.length) },
    });
    for (const each of [...open, rollout]) await this.kick(tx, each);
  }

  /** Has the next job do it; those before do nothing. */
  async kick(tx: Tx, { organizationId, id: rolloutId, tick }: Rollout, at?: Date): Promise<void> {
    const { count } = await tx.rollout.updateMany({
      where: { organizationId, id: rolloutId, tick },
      data: { tick: tick + 1 },
    });
    if (count > 0) await this.outbox.add(tx, organizationId, ADVANCE_ROLLOUT, { rolloutId, tick: tick + 1 }, at);
  }

  /** Whose jobs may be in the hands of the dead. */
  async kickAll(): Promise<void> {
    const where = { organizationId: ANY_ORGANIZATION, state: { in: OPEN } };
    for (const rollout of await this.database.client.rollout.findMany({ where, orderBy: { id: "asc" } })) {
      await this.database.transaction((tx) => this.kick(tx, rollout));
    }
    this.outbox.wake();
  }
}
