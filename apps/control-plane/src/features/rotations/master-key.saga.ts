import { createHash } from "node:crypto";
import { Injectable } from "@nestjs/common";
import { Database } from "../../platform/database/database.js";
import { Resealing } from "../master-key/resealing.js";
import { SEALED_TABLES, type SealedTable } from "../master-key/sealed-tables.js";
import { fault } from "./faults.js";
import type { Guard, Saga, SagaStep, Subject } from "./saga.js";

/** Transactions of one turn. */
const AT_ONCE = 10;

/** Stands for a table that is to be sealed under a master key, among a rotation's items. */
export function tableId({ model }: SealedTable, keyId: string): string {
  const hex = createHash("sha256").update(`sealed-table/${model}/${keyId}`).digest("hex");
  // A UUID of a form of its own (RFC 9562 §5.8).
  return [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, `a${hex.slice(17, 20)}`, hex.slice(20, 32)].join(
    "-",
  );
}

/** What an organization has sealed in one table. Old and new master key are both configured, which is what makes it before break. */
@Injectable()
export class MasterKeySaga implements Saga {
  readonly kind = "MASTER_KEY";
  readonly pivot = "reseal";
  readonly steps: readonly [SagaStep, ...SagaStep[]] = [
    {
      name: "reseal",
      does: "What other master keys have sealed is sealed again under the first one, so many values at a time.",
      impact: "UNTOUCHED",
      repeat: 1,
      lasting: true,
      perform: (subject, guard) => this.#reseal(subject, guard),
      waitsFor: async (subject) =>
        (await this.#isStale(subject)) ? "some is still sealed under another master key" : undefined,
    },
  ];
  readonly undo: SagaStep = {
    name: "undo",
    does: "Nothing: what is sealed again can be opened, and so can the rest as long as its master key is configured.",
    impact: "UNTOUCHED",
    perform: async () => undefined,
    waitsFor: async () => undefined,
  };

  constructor(
    private readonly database: Database,
    private readonly resealing: Resealing,
  ) {}

  async tunnels(): Promise<readonly string[]> {
    return [];
  }

  async isSwitched(subject: Subject): Promise<boolean> {
    return !(await this.#isStale(subject));
  }

  async #reseal(subject: Subject, guard: Guard): Promise<void> {
    const table = this.#tableOf(subject);
    for (let i = 0; i < AT_ONCE; i++) {
      if ((await this.resealing.some(table, subject.organizationId, guard)) === 0) return;
    }
  }

  #isStale(subject: Subject): Promise<boolean> {
    return this.resealing.isStale(this.database.client, this.#tableOf(subject), subject.organizationId);
  }

  /** Replicas may be configured one after the other: those that seal under another key leave it to the rest. */
  #tableOf({ subjectId, name }: Subject): SealedTable {
    const table = SEALED_TABLES.find((t) => tableId(t, this.resealing.keyId) === subjectId);
    if (table) return table;
    throw fault(
      "rotation/other-master-key",
      `${name} is to be sealed under a master key that is not the first one here`,
    );
  }
}
