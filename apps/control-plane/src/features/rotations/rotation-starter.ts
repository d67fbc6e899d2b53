import { Injectable } from "@nestjs/common";
import type { Tx } from "../../platform/database/database.js";
import { Outbox } from "../../platform/outbox/outbox.js";
import type { Prisma, Rotation } from "../../platform/prisma/generated/client.js";
import { ADVANCE_ROTATION } from "./jobs.js";
import { RotationStore } from "./rotation.store.js";

export interface NewItem {
  readonly subjectId: string;
  readonly name: string;
}

/** Writes a rotation down and sets it going, in the transaction of whoever wants it. */
@Injectable()
export class RotationStarter {
  constructor(
    private readonly store: RotationStore,
    private readonly outbox: Outbox,
  ) {}

  async start(
    tx: Tx,
    row: Prisma.RotationUncheckedCreateInput,
    step: string,
    items: readonly NewItem[],
  ): Promise<Rotation> {
    const { organizationId, requestedBy } = row;
    const rotation = await this.store.create(tx, {
      ...row,
      items: { create: items.map((item, position) => ({ ...item, organizationId, position, step })) },
    });
    await this.store.tell(tx, { organizationId, rotationId: rotation.id }, { what: "requested", note: requestedBy });
    if (rotation.state === "RUNNING") await this.kick(tx, rotation);
    return rotation;
  }

  /** Has the next job do it; those before do nothing. */
  async kick(tx: Tx, rotation: Rotation): Promise<void> {
    const tick = await this.store.nextTick(tx, rotation);
    if (tick === undefined) return;
    await this.outbox.add(tx, rotation.organizationId, ADVANCE_ROTATION, { rotationId: rotation.id, tick });
  }
}
