import { Injectable } from "@nestjs/common";
import type { Tx } from "../../platform/database/database.js";
import type { Rollout } from "../../platform/prisma/generated/client.js";
import { EventService } from "../events/event.service.js";
import { HeldRevisions } from "../intents/held-revisions.js";
import type { Failure } from "./faults.js";
import { OPEN } from "./rollout-starter.js";

/** A revision that its gateway's agent may have now. */
export interface Push {
  readonly gatewayId: string;
  readonly revision: number;
}

/** Gives gateways back what they had. */
@Injectable()
export class RolloutRollback {
  constructor(
    private readonly held: HeldRevisions,
    private readonly events: EventService,
  ) {}

  /**
   * Ends a rollout: what it has pushed is undone, and what waits is withdrawn, in newer rollouts too, since they bring the same change
   * of the model and more. The organization's row is held.
   */
  async run(tx: Tx, rollout: Rollout, failure: Failure): Promise<Push[]> {
    const { organizationId, id } = rollout;
    const newer = await tx.rollout.findMany({ where: { organizationId, id: { gt: id }, state: { in: OPEN } } });
    const ids = [id, ...newer.map((each) => each.id)];
    const waiting = { organizationId, rolloutId: { in: ids }, state: "PENDING" } as const;
    const withdrawn = await tx.rolloutItem.findMany({ where: waiting, select: { gatewayId: true } });
    await this.held.withdraw(
      tx,
      organizationId,
      withdrawn.map((item) => item.gatewayId),
    );
    await tx.rolloutItem.updateMany({ where: waiting, data: { state: "WITHDRAWN", waitingFor: null } });
    const pushed = await tx.rolloutItem.findMany({
      where: { organizationId, rolloutId: id, state: { in: ["PUSHED", "DONE"] } },
    });
    const restored = await this.held.restore(
      tx,
      organizationId,
      pushed.flatMap(({ gatewayId, revision, former }) => (former === null ? [] : { gatewayId, revision, former })),
    );
    await tx.$executeRaw`
      UPDATE rollout_items i SET state = 'ROLLED_BACK', restored = w.number
      FROM unnest(${pushed.map((item) => item.id)}::uuid[], ${pushed.map((item) => restored.get(item.gatewayId) ?? null)}::int[])
        AS w (id, number)
      WHERE i.organization_id = ${organizationId}::uuid AND i.id = w.id`;
    await this.#end(tx, rollout, failure);
    for (const each of newer) {
      const message = "the rollout before it was rolled back";
      await this.#end(tx, each, { ...failure, code: "rollout/former-rolled-back", message });
    }
    return [...restored].map(([gatewayId, revision]) => ({ gatewayId, revision }));
  }

  async #end(tx: Tx, { organizationId, id }: Rollout, { code, message, gatewayId, tunnelId, facts }: Failure) {
    await tx.rollout.update({
      where: { organizationId, id },
      data: {
        state: "ROLLED_BACK",
        finishedAt: new Date(),
        failureCode: code,
        failure: message,
        failedGatewayId: gatewayId ?? null,
        failedTunnelId: tunnelId ?? null,
      },
    });
    await this.events.record(tx, organizationId, {
      kind: "rollout/rolled-back",
      severity: code === "rollout/aborted" ? "WARNING" : "ERROR",
      message: `a rollout was rolled back: ${message}`,
      facts: { ...facts, rollout: id, code },
      gatewayId,
      tunnelId,
    });
  }
}
