import { Injectable } from "@nestjs/common";
import { Changes } from "../../platform/database/changes.js";
import { Database, type Tx } from "../../platform/database/database.js";
import type { Rotation } from "../../platform/prisma/generated/client.js";
import { AuthoritySuccession } from "../certificates/authority-succession.service.js";
import { fault } from "./faults.js";
import { GatewayCertificateSaga } from "./gateway-certificate.saga.js";
import { OPEN } from "./rotation.store.js";
import { RotationStarter } from "./rotation-starter.js";
import type { Guard, SagaStep, Subject } from "./saga.js";

/** Seconds after which it is looked whether another rotation is needed. */
const LOOK_AGAIN = 5;

/**
 * The step of an authority's rotation in which its gateways move: a rotation of their certificates, in batches and windows as the whole
 * has them, with its own progress and history.
 */
@Injectable()
export class Reissue {
  readonly step: SagaStep = {
    name: "reissue",
    does: "Every gateway that shows a certificate of an authority that issues no more is given one of the new, in batches, as a rotation of its own.",
    impact: "REKEYED",
    repeat: LOOK_AGAIN,
    lasting: true,
    perform: (subject, guard) => this.#begin(subject, guard),
    waitsFor: (subject) => this.#left(subject),
  };

  constructor(
    private readonly database: Database,
    private readonly changes: Changes,
    private readonly succession: AuthoritySuccession,
    private readonly starter: RotationStarter,
    private readonly gateways: GatewayCertificateSaga,
  ) {}

  #begin(subject: Subject, guard: Guard): Promise<void> {
    const { organizationId, rotationId, id: partOfId } = subject;
    return this.changes.commit(subject, async (tx) => {
      await guard(tx);
      const part = await this.#part(tx, subject);
      if (part && OPEN.includes(part.state)) return;
      const ids = await this.succession.leftBehind(tx, organizationId);
      if (ids.length === 0) return;
      const found = await tx.gateway.findMany({
        where: { organizationId, id: { in: ids } },
        orderBy: { id: "asc" },
        select: { id: true, name: true },
      });
      const whole = await tx.rotation.findUniqueOrThrow({ where: { organizationId, id: rotationId } });
      const { batch, patience, windowDays, windowFrom, windowMinutes, windowZone, requestedBy } = whole;
      const row = {
        ...{ organizationId, partOfId, kind: this.gateways.kind, requestedBy, batch, patience },
        ...{ windowDays, windowFrom, windowMinutes, windowZone },
      } as const;
      const [{ name: first }] = this.gateways.steps;
      const items = found.map(({ id: subjectId, name }) => ({ subjectId, name }));
      await this.starter.start(tx, row, first, items);
    });
  }

  async #left(subject: Subject): Promise<string | undefined> {
    const { client } = this.database;
    const ids = await this.succession.leftBehind(client, subject.organizationId);
    const part = await this.#part(client, subject);
    if (part?.state === "FAILED") throw stopped(part);
    const open = part && OPEN.includes(part.state);
    if (ids.length === 0 && !open) return undefined;
    const left = `${ids.length} gateways still show certificates of an authority that issues no more`;
    const under = open ? [`the rotation ${part.id} is ${part.state === "PAUSED" ? "paused" : "not over"}`] : [];
    return [...(ids.length > 0 ? [left] : []), ...under].join(", and ");
  }

  /**
   * The newest.
   * @throws rotation/part-failed when an operator has aborted it, and has not resumed the whole since
   */
  async #part(tx: Tx, { organizationId, id }: Subject): Promise<Rotation | null> {
    const part = await tx.rotation.findFirst({ where: { organizationId, partOfId: id }, orderBy: { id: "desc" } });
    if (part?.state !== "ABORTED") return part;
    const { stepAt } = await tx.rotationItem.findUniqueOrThrow({ where: { organizationId, id } });
    if (part.finishedAt && part.finishedAt > stepAt) throw stopped(part);
    return part;
  }
}

const stopped = ({ id, state, failure }: Rotation) =>
  fault("rotation/part-failed", `the rotation ${id} is ${state}${failure === null ? "" : `: ${failure}`}`, {
    facts: { rotation: id },
  });
