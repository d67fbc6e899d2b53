import { Injectable } from "@nestjs/common";
import { Changes } from "../../platform/database/changes.js";
import { Database, type Tx } from "../../platform/database/database.js";
import { apiFault } from "../../platform/faults.js";
import { type Connection, type PageArgs, page, pageQuery } from "../../platform/graphql/connection.js";
import { checkUuid } from "../../platform/input.js";
import type { Rollout, RolloutItem } from "../../platform/prisma/generated/client.js";
import type { RolloutItemState, RolloutState } from "../../platform/prisma/generated/enums.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { AuditService } from "../audit/audit.service.js";
import { HeldRevisions } from "../intents/held-revisions.js";
import { IntentService } from "../intents/intent.service.js";
import { fault } from "./faults.js";
import { RolloutDriver } from "./rollout-driver.js";
import { type Push, RolloutRollback } from "./rollout-rollback.js";
import { OPEN, RolloutStarter } from "./rollout-starter.js";

export interface Progress {
  readonly total: number;
  readonly pending: number;
  readonly pushed: number;
  readonly done: number;
  readonly rolledBack: number;
  readonly withdrawn: number;
  readonly superseded: number;
}

/** Rollouts as operators see and steer them; `RolloutDriver` does them. */
@Injectable()
export class RolloutService {
  constructor(
    private readonly database: Database,
    private readonly changes: Changes,
    private readonly starter: RolloutStarter,
    private readonly driver: RolloutDriver,
    private readonly rollback: RolloutRollback,
    private readonly held: HeldRevisions,
    private readonly intents: IntentService,
    private readonly audit: AuditService,
  ) {}

  /** Before the next stage; the one that is under way is judged. @throws rollout/wrong-state */
  pause(context: TenantContext, rawId: string): Promise<Rollout> {
    return this.#steer(context, rawId, "pauseRollout", ["RUNNING"], async (tx, { organizationId, id }) => {
      await tx.rollout.update({ where: { organizationId, id }, data: { state: "PAUSED" } });
      return [];
    });
  }

  /** @throws rollout/wrong-state */
  resume(context: TenantContext, rawId: string): Promise<Rollout> {
    return this.#steer(context, rawId, "resumeRollout", ["PAUSED"], async (tx, rollout) => {
      const { organizationId, id } = rollout;
      await tx.rollout.update({ where: { organizationId, id }, data: { state: "RUNNING" } });
      await this.starter.kick(tx, rollout);
      return [];
    });
  }

  /** Gives the gateways that were pushed what they had before, and withdraws the rest. @throws rollout/wrong-state */
  abort(context: TenantContext, rawId: string): Promise<Rollout> {
    const message = `${context.actor.name} aborted it`;
    return this.#steer(context, rawId, "abortRollout", OPEN, (tx, rollout) =>
      this.rollback.run(tx, rollout, { code: "rollout/aborted", message }),
    );
  }

  /** Has what was rolled back compiled and rolled out anew. @throws rollout/wrong-state, rollout/nothing-to-retry */
  retry(context: TenantContext, rawId: string): Promise<Rollout> {
    return this.#steer(context, rawId, "retryRollout", ["ROLLED_BACK"], async (tx, { organizationId }) => {
      if ((await this.held.forgetWithdrawn(tx, organizationId)) === 0) {
        throw fault("rollout/nothing-to-retry", "every gateway has what the model asks for, or it is on its way");
      }
      await this.intents.recompile(tx, organizationId);
      return [];
    });
  }

  async #steer(
    context: TenantContext,
    rawId: string,
    action: string,
    from: readonly RolloutState[],
    work: (tx: Tx, rollout: Rollout) => Promise<readonly Push[]>,
  ): Promise<Rollout> {
    const { organizationId } = context;
    const id = checkUuid(rawId, "id");
    const { pushes, after } = await this.changes.commit(context, async (tx) => {
      const rollout = await tx.rollout.findUnique({ where: { organizationId, id } });
      if (!rollout) throw notFound(id);
      if (!from.includes(rollout.state)) {
        throw fault("rollout/wrong-state", `the rollout is ${rollout.state}`, {
          field: "id",
          value: rollout.state,
          expected: from.join(", "),
        });
      }
      const pushed = await work(tx, rollout);
      const now = await tx.rollout.findUniqueOrThrow({ where: { organizationId, id } });
      await this.audit.record(tx, context, {
        action,
        target: { kind: "rollout", id },
        before: { state: rollout.state },
        after: { state: now.state },
      });
      return { pushes: pushed, after: now };
    });
    await this.driver.tell(organizationId, pushes, id);
    return after;
  }

  get({ organizationId }: TenantContext, id: string): Promise<Rollout | null> {
    return this.database.client.rollout.findUnique({ where: { organizationId, id: checkUuid(id, "id") } });
  }

  /** @throws api/not-found */
  async known(context: TenantContext, id: string): Promise<Rollout> {
    const rollout = await this.get(context, id);
    if (!rollout) throw notFound(id);
    return rollout;
  }

  /** Newest first. */
  list({ organizationId }: TenantContext, args: PageArgs, state?: RolloutState): Promise<Connection<Rollout>> {
    return page(args, (request) => {
      const { where, ...rest } = pageQuery(request, "desc");
      const only = state === undefined ? {} : { state };
      return this.database.client.rollout.findMany({ where: { organizationId, ...only, ...where }, ...rest });
    });
  }

  items({ organizationId, id: rolloutId }: Rollout, args: PageArgs): Promise<Connection<RolloutItem>> {
    return page(args, (request) => {
      const { where, ...rest } = pageQuery(request, "asc");
      return this.database.client.rolloutItem.findMany({ where: { organizationId, rolloutId, ...where }, ...rest });
    });
  }

  async progress({ organizationId, id: rolloutId }: Rollout): Promise<Progress> {
    const where = { organizationId, rolloutId };
    const rows = await this.database.client.rolloutItem.groupBy({ by: ["state"], where, _count: true });
    const of = (state: RolloutItemState) => rows.find((row) => row.state === state)?._count ?? 0;
    return {
      total: rows.reduce((sum, row) => sum + row._count, 0),
      pending: of("PENDING"),
      pushed: of("PUSHED"),
      done: of("DONE"),
      rolledBack: of("ROLLED_BACK"),
      withdrawn: of("WITHDRAWN"),
      superseded: of("SUPERSEDED"),
    };
  }
}

const notFound = (value: string) =>
  apiFault("api/not-found", "there is no such rollout", { field: "id", value, expected: "the id of a rollout" });
