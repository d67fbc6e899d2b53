import { Injectable } from "@nestjs/common";
import { Changes } from "../../platform/database/changes.js";
import type { Tx } from "../../platform/database/database.js";
import { apiFault } from "../../platform/faults.js";
import { type Connection, type PageArgs, page } from "../../platform/graphql/connection.js";
import { checkUuid } from "../../platform/input.js";
import type { Rotation, RotationEvent, RotationItem } from "../../platform/prisma/generated/client.js";
import type { RotationItemState, RotationKind, RotationState } from "../../platform/prisma/generated/enums.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { AuditService } from "../audit/audit.service.js";
import { checkWindow, type WindowInput, windowColumns } from "../maintenance/window.js";
import { fault } from "./faults.js";
import { RotationStore } from "./rotation.store.js";
import { type NewItem, RotationStarter } from "./rotation-starter.js";
import { Sagas } from "./sagas.js";

/** What operators say of any rotation. */
export interface RotationInput {
  readonly batch: number;
  readonly patienceSeconds: number;
  readonly hold: boolean;
  readonly startAt?: Date | null | undefined;
  readonly window?: WindowInput | null | undefined;
  /** Called in the transaction that begins it, before anything else. */
  readonly first?: ((tx: Tx) => Promise<void>) | undefined;
}

export interface Progress {
  readonly total: number;
  readonly pending: number;
  readonly running: number;
  readonly done: number;
  readonly rolledBack: number;
  readonly skipped: number;
}

/** That one rotation may be told by their ids. */
const MAX_ITEMS = 1_000;
const MAX_BATCH = 100;
const MAX_PATIENCE = 86_400;
/** How far away a start may lie. */
const MAX_AHEAD_MS = 366 * 86_400_000;

/** Rotations as operators see and steer them; `RotationDriver` does them. */
@Injectable()
export class RotationService {
  constructor(
    private readonly changes: Changes,
    private readonly store: RotationStore,
    private readonly sagas: Sagas,
    private readonly starter: RotationStarter,
    private readonly audit: AuditService,
  ) {}

  /**
   * Begins a rotation of the items that `find` gives, in its order.
   * @throws rotation/nothing-to-do, rotation/under-way, api/bad-input
   */
  begin(
    context: TenantContext,
    mutation: string,
    kind: RotationKind,
    input: RotationInput,
    find: (tx: Tx) => Promise<readonly NewItem[]>,
  ): Promise<Rotation> {
    const { organizationId, actor } = context;
    const columns = checked(input);
    return this.changes.commit(context, async (tx) => {
      await input.first?.(tx);
      const items = await find(tx);
      if (items.length === 0) throw fault("rotation/nothing-to-do", "there is nothing to rotate");
      const ids = items.map((item) => item.subjectId);
      const [busy] = await this.store.busy(tx, organizationId, ids);
      if (busy) {
        throw fault("rotation/under-way", `${busy.name} is being rotated`, {
          value: busy.name,
          expected: "what no rotation that is not over has among its items",
          facts: { rotation: busy.rotationId },
        });
      }
      const [first] = this.sagas.of(kind).steps;
      const state = input.hold ? "PAUSED" : "RUNNING";
      const row = { ...columns, organizationId, kind, state, requestedBy: actor.name } as const;
      const rotation = await this.starter.start(tx, row, first.name, items);
      const target = { kind: "rotation", id: rotation.id };
      const after = { kind, ...columns, items: items.map((item) => item.name) };
      await this.audit.record(tx, context, { action: mutation, target, after });
      return rotation;
    });
  }

  /** Between two steps. @throws rotation/wrong-state */
  pause(context: TenantContext, rawId: string): Promise<Rotation> {
    return this.#steer(context, rawId, "pauseRotation", ["RUNNING"], "PAUSED");
  }

  /** After a pause or a failure. @throws rotation/wrong-state */
  resume(context: TenantContext, rawId: string): Promise<Rotation> {
    return this.#steer(context, rawId, "resumeRotation", ["PAUSED", "FAILED"], "RUNNING");
  }

  /** Undoes what is not switched yet and finishes what is. @throws rotation/wrong-state */
  abort(context: TenantContext, rawId: string): Promise<Rotation> {
    return this.#steer(context, rawId, "abortRotation", ["RUNNING", "PAUSED", "FAILED"], "ABORTING");
  }

  async #steer(
    context: TenantContext,
    rawId: string,
    action: string,
    from: readonly RotationState[],
    to: "PAUSED" | "RUNNING" | "ABORTING",
  ): Promise<Rotation> {
    const { organizationId, actor } = context;
    const id = checkUuid(rawId, "id");
    return this.changes.commit(context, async (tx) => {
      const rotation = await this.store.lock(tx, organizationId, id);
      if (!rotation) throw notFound(id);
      const told = { what: to === "ABORTING" ? "aborting" : to === "PAUSED" ? "paused" : "resumed", note: actor.name };
      if (!(await this.store.move(tx, rotation, from, { state: to, failure: null }, told))) {
        throw fault("rotation/wrong-state", `the rotation is ${rotation.state}`, {
          field: "id",
          value: rotation.state,
          expected: from.join(", "),
        });
      }
      if (to !== "PAUSED") await this.store.restartSteps(tx, rotation);
      // Also a pause: whoever comes by the rotation tells its subscribers.
      await this.starter.kick(tx, rotation);
      await this.audit.record(tx, context, {
        action,
        target: { kind: "rotation", id },
        before: { state: rotation.state },
        after: { state: to },
      });
      return { ...rotation, state: to, failure: null };
    });
  }

  async get({ organizationId }: TenantContext, id: string): Promise<Rotation | null> {
    return this.store.byId(organizationId, checkUuid(id, "id"));
  }

  /** @throws api/not-found */
  async known(context: TenantContext, id: string): Promise<Rotation> {
    const rotation = await this.get(context, id);
    if (!rotation) throw notFound(id);
    return rotation;
  }

  list({ organizationId }: TenantContext, args: PageArgs, state?: RotationState): Promise<Connection<Rotation>> {
    return page(args, (request) => this.store.page(organizationId, request, state));
  }

  items({ organizationId, id }: Rotation, args: PageArgs): Promise<Connection<RotationItem>> {
    return page(args, (request) => this.store.items(organizationId, id, request));
  }

  /** Names of the tunnels that an item is about. */
  async tunnels({ organizationId }: TenantContext, item: RotationItem): Promise<readonly string[]> {
    const rotation = await this.store.byId(organizationId, item.rotationId);
    return rotation ? this.sagas.of(rotation.kind).tunnels(item) : [];
  }

  history({ organizationId, id }: Rotation, args: PageArgs): Promise<Connection<RotationEvent>> {
    return page(args, (request) => this.store.history(organizationId, id, request));
  }

  async progress({ organizationId, id }: Rotation): Promise<Progress> {
    const counts = await this.store.counts(organizationId, id);
    const of = (state: RotationItemState) => counts[state] ?? 0;
    return {
      total: Object.values(counts).reduce((a, b) => a + b, 0),
      pending: of("PENDING"),
      running: of("RUNNING"),
      done: of("DONE"),
      rolledBack: of("ROLLED_BACK"),
      skipped: of("SKIPPED"),
    };
  }
}

const notFound = (value: string) =>
  apiFault("api/not-found", "there is no such rotation", { field: "id", value, expected: "the id of a rotation" });

/** Which of them, when they are named. @throws api/bad-input */
export function checkIds(given: readonly string[] | null | undefined, field: string): readonly string[] | undefined {
  const ids = given?.map((id, i) => checkUuid(id, `${field}[${i}]`));
  if (ids === undefined || (ids.length <= MAX_ITEMS && new Set(ids).size === ids.length)) return ids;
  throw apiFault("api/bad-input", "too many ids, or one of them twice", {
    field,
    value: `${ids.length} ids`,
    expected: `at most ${MAX_ITEMS}, each once`,
  });
}

/** @throws api/bad-input */
export function bounded(value: number, max: number, field: string): number {
  if (Number.isInteger(value) && value >= 1 && value <= max) return value;
  const expected = `1 to ${max}`;
  throw apiFault("api/bad-input", `${field}: expected ${expected}`, { field, value: String(value), expected });
}

/** How a rotation goes, or those of a schedule, as columns. @throws api/bad-input */
export function checked({ batch, patienceSeconds, startAt, window }: Omit<RotationInput, "hold">) {
  if (startAt && !(startAt.getTime() < Date.now() + MAX_AHEAD_MS)) {
    throw apiFault("api/bad-input", "too far away", { field: "input.startAt", expected: "a time within a year" });
  }
  return {
    batch: bounded(batch, MAX_BATCH, "input.batch"),
    patience: bounded(patienceSeconds, MAX_PATIENCE, "input.patienceSeconds"),
    startAt: startAt ?? null,
    ...windowColumns(window ? checkWindow(window, "input.window") : undefined),
  };
}
