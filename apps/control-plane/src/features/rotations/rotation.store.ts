import { randomUUID } from "node:crypto";
import { Injectable } from "@nestjs/common";
import { Database, type Tx } from "../../platform/database/database.js";
import { ANY_ORGANIZATION } from "../../platform/database/tenancy-guard.js";
import { type PageRequest, pageQuery } from "../../platform/graphql/connection.js";
import type { Prisma, Rotation, RotationEvent, RotationItem } from "../../platform/prisma/generated/client.js";
import type { RotationItemState, RotationState } from "../../platform/prisma/generated/enums.js";

/** Who works at a rotation renews its claim more often than this: it is over so soon after he dies. */
const LEASE_SECONDS = 6;

/** Rotations that are not over. */
export const OPEN: readonly RotationState[] = ["RUNNING", "PAUSED", "ABORTING", "FAILED"];

/** A rotation, in the hands of whom `leasedBy` names. */
export type Held = Rotation & { readonly leasedBy: string };
export type Claim = { readonly rotation: Held } | "busy" | "outdated";
export type Told = Pick<Prisma.RotationEventUncheckedCreateInput, "itemId" | "step" | "what" | "note">;
export type ItemChange = Pick<
  Prisma.RotationItemUncheckedUpdateManyInput,
  "state" | "step" | "stepAt" | "performedAt" | "waitingFor" | "startedAt" | "finishedAt"
>;
export type RotationChange = Pick<
  Prisma.RotationUncheckedUpdateManyInput,
  "state" | "failure" | "startedAt" | "finishedAt"
>;

@Injectable()
export class RotationStore {
  constructor(private readonly database: Database) {}

  /** The right to work at a rotation, for a while and for one replica. */
  async claim(organizationId: string, id: string, tick: number): Promise<Claim> {
    const leasedBy = randomUUID();
    return this.database.transaction(async (tx) => {
      const count = await tx.$executeRaw`
        UPDATE rotations SET leased_by = ${leasedBy}::uuid, leased_until = now() + make_interval(secs => ${LEASE_SECONDS})
        WHERE organization_id = ${organizationId}::uuid AND id = ${id}::uuid AND tick = ${tick}
          AND (leased_until IS NULL OR leased_until < now())`;
      const rotation = await tx.rotation.findUnique({ where: { organizationId, id } });
      if (rotation?.tick !== tick) return "outdated";
      return count > 0 ? { rotation: { ...rotation, leasedBy } } : "busy";
    });
  }

  /** Prolongs the claim, and reads what operators have said since. Undefined: it is another's by now. */
  async renew({ organizationId, id, leasedBy }: Held): Promise<Held | undefined> {
    return this.database.transaction(async (tx) => {
      const count = await tx.$executeRaw`
        UPDATE rotations SET leased_until = now() + make_interval(secs => ${LEASE_SECONDS})
        WHERE organization_id = ${organizationId}::uuid AND id = ${id}::uuid AND leased_by = ${leasedBy}::uuid`;
      const rotation = count > 0 && (await tx.rotation.findUnique({ where: { organizationId, id } }));
      return rotation ? { ...rotation, leasedBy } : undefined;
    });
  }

  async release({ organizationId, id, leasedBy }: Held, tx: Tx = this.database.client): Promise<void> {
    const data = { leasedBy: null, leasedUntil: null };
    await tx.rotation.updateMany({ where: { organizationId, id, leasedBy }, data });
  }

  /** Counts the jobs: gives the next one's number, which makes that of `tick` the last one's; undefined when another was counted since. */
  async nextTick(tx: Tx, { organizationId, id, tick }: Rotation): Promise<number | undefined> {
    const { count } = await tx.rotation.updateMany({ where: { organizationId, id, tick }, data: { tick: tick + 1 } });
    return count > 0 ? tick + 1 : undefined;
  }

  /** Holds the rotation's row until the commit. */
  async lock(tx: Tx, organizationId: string, id: string): Promise<Rotation | null> {
    await tx.$queryRaw`
      SELECT 1 FROM rotations WHERE organization_id = ${organizationId}::uuid AND id = ${id}::uuid FOR UPDATE`;
    return tx.rotation.findUnique({ where: { organizationId, id } });
  }

  item(tx: Tx, organizationId: string, id: string): Promise<RotationItem | null> {
    return tx.rotationItem.findUnique({ where: { organizationId, id } });
  }

  openItems({ organizationId, id }: Rotation): Promise<RotationItem[]> {
    return this.database.client.rotationItem.findMany({
      where: { organizationId, rotationId: id, state: { in: ["PENDING", "RUNNING"] } },
      orderBy: { position: "asc" },
    });
  }

  /** Changes an item that is at `step` still, and tells of it. Gives the item; undefined when it is there no more. */
  async change(
    { organizationId, rotationId, id, step }: RotationItem,
    data: ItemChange,
    ...events: readonly Told[]
  ): Promise<RotationItem | undefined> {
    return this.database.transaction(async (tx) => {
      await this.lock(tx, organizationId, rotationId);
      const [row] = await tx.rotationItem.updateManyAndReturn({ where: { organizationId, id, step }, data });
      if (row) await this.tell(tx, row, ...events);
      return row;
    });
  }

  /** What was waited for in vain gets its time anew. */
  async restartSteps(tx: Tx, { organizationId, id }: Rotation): Promise<void> {
    const where = { organizationId, rotationId: id, state: "RUNNING" } as const;
    await tx.rotationItem.updateMany({ where, data: { stepAt: new Date() } });
  }

  /** Changes a rotation that is in one of these states still. */
  async move(
    tx: Tx,
    { organizationId, id }: Pick<Rotation, "organizationId" | "id">,
    from: readonly RotationState[],
    data: RotationChange,
    ...events: readonly Told[]
  ): Promise<boolean> {
    const where = { organizationId, id, state: { in: [...from] } };
    const { count } = await tx.rotation.updateMany({ where, data });
    if (count > 0) await this.tell(tx, { organizationId, rotationId: id }, ...events);
    return count > 0;
  }

  async tell(
    tx: Tx,
    { organizationId, rotationId }: Pick<RotationItem, "organizationId" | "rotationId">,
    ...events: readonly Told[]
  ): Promise<void> {
    if (events.length === 0) return;
    await tx.rotationEvent.createMany({ data: events.map((event) => ({ ...event, organizationId, rotationId })) });
  }

  create(tx: Tx, data: Prisma.RotationUncheckedCreateInput): Promise<Rotation> {
    return tx.rotation.create({ data });
  }

  /** Which of these a rotation that is not over has among its items. */
  async busy(tx: Tx, organizationId: string, subjectIds: readonly string[]): Promise<RotationItem[]> {
    const rotation = { organizationId, state: { in: [...OPEN] } };
    const states: RotationItemState[] = ["PENDING", "RUNNING"];
    return tx.rotationItem.findMany({
      where: { organizationId, subjectId: { in: [...subjectIds] }, state: { in: states }, rotation },
      take: 1,
    });
  }

  /** Those of all organizations that go on by themselves. */
  underWay(): Promise<Rotation[]> {
    return this.database.client.rotation.findMany({
      where: { organizationId: ANY_ORGANIZATION, state: { in: ["RUNNING", "ABORTING"] } },
      orderBy: { id: "asc" },
    });
  }

  byId(organizationId: string, id: string): Promise<Rotation | null> {
    return this.database.client.rotation.findUnique({ where: { organizationId, id } });
  }

  /** Newest first. */
  page(organizationId: string, request: PageRequest, state: RotationState | undefined): Promise<Rotation[]> {
    const { where, ...rest } = pageQuery(request, "desc");
    return this.database.client.rotation.findMany({
      where: { organizationId, ...(state === undefined ? {} : { state }), ...where },
      ...rest,
    });
  }

  items(organizationId: string, rotationId: string, request: PageRequest): Promise<RotationItem[]> {
    const { where, ...rest } = pageQuery(request, "asc");
    return this.database.client.rotationItem.findMany({ where: { organizationId, rotationId, ...where }, ...rest });
  }

  history(organizationId: string, rotationId: string, request: PageRequest): Promise<RotationEvent[]> {
    const { where, ...rest } = pageQuery(request, "asc");
    return this.database.client.rotationEvent.findMany({ where: { organizationId, rotationId, ...where }, ...rest });
  }

  async counts(
    organizationId: string,
    rotationId: string,
  ): Promise<Readonly<Partial<Record<RotationItemState, number>>>> {
    const rows = await this.database.client.rotationItem.groupBy({
      by: ["state"],
      where: { organizationId, rotationId },
      _count: true,
    });
    return Object.fromEntries(rows.map((row) => [row.state, row._count]));
  }
}
