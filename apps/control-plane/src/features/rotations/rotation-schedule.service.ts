import { Injectable } from "@nestjs/common";
import { Changes } from "../../platform/database/changes.js";
import { Database } from "../../platform/database/database.js";
import { apiFault } from "../../platform/faults.js";
import { checkUuid } from "../../platform/input.js";
import type { RotationSchedule } from "../../platform/prisma/generated/client.js";
import type { RotationKind } from "../../platform/prisma/generated/enums.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { AuditService } from "../audit/audit.service.js";
import type { WindowInput } from "../maintenance/window.js";
import { fault } from "./faults.js";
import { bounded, checked } from "./rotation.service.js";

export interface ScheduleInput {
  readonly kind: RotationKind;
  readonly everyDays: number;
  readonly batch: number;
  readonly patienceSeconds: number;
  readonly firstAt?: Date | null | undefined;
  readonly window?: WindowInput | null | undefined;
}

const DAY_MS = 86_400_000;
const MAX_DAYS = 3_650;
/** Of one organization. */
const MAX_SCHEDULES = 100;

/** The first of the times `everyDays` apart, counted from `at`, that lies after `now`. */
export function nextTime(at: Date, everyDays: number, now: Date): Date {
  const every = everyDays * DAY_MS;
  const passed = Math.max(0, Math.floor((now.getTime() - at.getTime()) / every) + 1);
  return new Date(at.getTime() + passed * every);
}

/** Which rotations begin by themselves, and when. */
@Injectable()
export class RotationScheduleService {
  constructor(
    private readonly database: Database,
    private readonly changes: Changes,
    private readonly audit: AuditService,
  ) {}

  /** @throws api/bad-input, rotation/too-many-schedules */
  create(context: TenantContext, input: ScheduleInput): Promise<RotationSchedule> {
    const { organizationId, actor } = context;
    const everyDays = bounded(input.everyDays, MAX_DAYS, "input.everyDays");
    const { startAt, ...columns } = checked({ ...input, startAt: input.firstAt });
    const nextAt = startAt ?? new Date(Date.now() + everyDays * DAY_MS);
    return this.changes.commit(context, async (tx) => {
      if ((await tx.rotationSchedule.count({ where: { organizationId } })) >= MAX_SCHEDULES) {
        const expected = `at most ${MAX_SCHEDULES} schedules`;
        throw fault("rotation/too-many-schedules", `there are ${MAX_SCHEDULES} schedules already`, { expected });
      }
      const { kind } = input;
      const row = await tx.rotationSchedule.create({
        data: { ...columns, organizationId, kind, everyDays, nextAt, requestedBy: actor.name },
      });
      const after = { ...columns, kind, everyDays, nextAt: nextAt.toISOString() };
      const target = { kind: "rotationSchedule", id: row.id };
      await this.audit.record(tx, context, { action: "createRotationSchedule", target, after });
      return row;
    });
  }

  /** What it has begun goes on. */
  delete(context: TenantContext, rawId: string): Promise<RotationSchedule> {
    const { organizationId } = context;
    const id = checkUuid(rawId, "id");
    return this.changes.commit(context, async (tx) => {
      const row = await tx.rotationSchedule.findUnique({ where: { organizationId, id } });
      if (!row) {
        throw apiFault("api/not-found", "there is no such schedule", { field: "id", value: id });
      }
      await tx.rotationSchedule.delete({ where: { organizationId, id } });
      const { kind, everyDays } = row;
      const target = { kind: "rotationSchedule", id };
      await this.audit.record(tx, context, { action: "deleteRotationSchedule", target, before: { kind, everyDays } });
      return row;
    });
  }

  /** The next one to begin first. */
  list({ organizationId }: TenantContext): Promise<RotationSchedule[]> {
    return this.database.client.rotationSchedule.findMany({
      where: { organizationId },
      orderBy: [{ nextAt: "asc" }, { id: "asc" }],
    });
  }
}
