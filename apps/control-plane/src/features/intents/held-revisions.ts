import { Injectable } from "@nestjs/common";
import { parseIntent, serializeIntent } from "@sallyport/intent";
import type { Tx } from "../../platform/database/database.js";
import { Slice } from "../../platform/slices.js";
import { Vault } from "../../platform/vault/vault.js";
import { revisionPlace } from "./jobs.js";
import { type Answered, type NewRevision, type Numbered, RevisionStore } from "./revision.store.js";

/** A gateway's revision, and the one before it. */
export interface Undone {
  readonly gatewayId: string;
  readonly revision: number;
  readonly former: number;
}

/** Revisions that wait for somebody to let agents have them. Callers hold the organization's row. */
@Injectable()
export class HeldRevisions {
  constructor(
    private readonly revisions: RevisionStore,
    private readonly vault: Vault,
  ) {}

  /** Gives the ids of the gateways whose revision was held until now; the others got a newer one meanwhile. */
  release(tx: Tx, organizationId: string, revisions: readonly Numbered[]): Promise<ReadonlySet<string>> {
    return this.revisions.release(tx, organizationId, revisions);
  }

  withdraw(tx: Tx, organizationId: string, gatewayIds: readonly string[]): Promise<void> {
    return this.revisions.withdraw(tx, organizationId, gatewayIds);
  }

  /** Gives of how many gateways the next compilation asks anew what was withdrawn, undone or refused. */
  forgetWithdrawn(tx: Tx, organizationId: string): Promise<number> {
    return this.revisions.forgetWithdrawn(tx, organizationId);
  }

  /** What became of revisions. */
  answersTo(tx: Tx, organizationId: string, revisions: readonly Numbered[]): Promise<Answered[]> {
    return this.revisions.answersTo(tx, organizationId, revisions);
  }

  /**
   * Repeats former revisions as the newest ones. They stand for what the model asks for now, which makes no other revision until it
   * changes. Gives the new numbers by gateway id: of gateways that have the one to be undone, and whose former one is still there.
   */
  async restore(tx: Tx, organizationId: string, undone: readonly Undone[]): Promise<ReadonlyMap<string, number>> {
    const given = await this.revisions.newestGiven(
      tx,
      organizationId,
      undone.map((each) => each.gatewayId),
    );
    const former = undone.flatMap(({ gatewayId, revision, former: number }) =>
      given.get(gatewayId) === revision ? { gatewayId, number } : [],
    );
    const ids = former.map((revision) => revision.gatewayId);
    const newest = new Map(
      (await this.revisions.newestOfEach(organizationId, ids, tx)).map((row) => [row.gatewayId, row]),
    );
    const written: NewRevision[] = [];
    const slice = new Slice();
    for (const row of await this.revisions.of(tx, organizationId, former)) {
      const { gatewayId, number: restores } = row;
      const last = newest.get(gatewayId);
      if (!last) continue;
      const number = last.number + 1;
      const intent = parseIntent(this.vault.unseal(revisionPlace(gatewayId, restores), row).toString("utf8"));
      const sealed = this.vault.seal(
        revisionPlace(gatewayId, number),
        serializeIntent({ ...intent, revision: number }),
      );
      written.push({ gatewayId, number, restores, hash: last.hash, schemaVersion: intent.schema, ...sealed });
      if (slice.isOver) await slice.next();
    }
    await this.revisions.append(tx, organizationId, written);
    return new Map(written.map((revision) => [revision.gatewayId, revision.number]));
  }
}
