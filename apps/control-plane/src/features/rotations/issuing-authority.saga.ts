import { Injectable } from "@nestjs/common";
import { Changes } from "../../platform/database/changes.js";
import { Database, type Tx } from "../../platform/database/database.js";
import { AuthoritySuccession, type OrganizationAuthority } from "../certificates/authority-succession.service.js";
import { certificateTunnels } from "./certificate-tunnels.js";
import { fault } from "./faults.js";
import { Reissue } from "./reissue.js";
import type { Guard, Saga, SagaStep, Subject } from "./saga.js";

/** The CA that certifies gateways, below the same root. The new one has the id of the rotation's item. */
@Injectable()
export class IssuingAuthoritySaga implements Saga {
  readonly kind = "ISSUING_AUTHORITY";
  readonly pivot = "switch";
  readonly steps: readonly [SagaStep, ...SagaStep[]];
  readonly undo: SagaStep = {
    name: "undo",
    does: "The new authority is retired, which has issued nothing.",
    impact: "UNTOUCHED",
    perform: (subject, guard) =>
      this.#change(subject, guard, async (tx, _, made) => {
        if (made?.standby) await this.succession.takeBack(tx, made);
      }),
    waitsFor: async () => undefined,
  };

  constructor(
    private readonly database: Database,
    private readonly changes: Changes,
    private readonly succession: AuthoritySuccession,
    reissue: Reissue,
  ) {
    this.steps = [
      {
        name: "introduce",
        does: "A new authority is made below the same root, which everybody trusts; its list is published, and it issues nothing yet.",
        impact: "UNTOUCHED",
        perform: (subject, guard) =>
          this.#change(subject, guard, (tx, old) => this.succession.introduceIssuing(tx, old, subject.id, "system")),
        waitsFor: async (subject) => {
          const made = await this.#made(this.database.client, subject);
          return made && made.listNumber > 0n ? undefined : "its first list is not published yet";
        },
      },
      {
        name: "switch",
        does: "It issues from now on; the old authority issues nothing more, but what it has issued is still good.",
        impact: "UNTOUCHED",
        perform: (subject, guard) =>
          this.#change(subject, guard, async (tx, _, made) => {
            if (made?.standby) await this.succession.switchIssuing(tx, made);
          }),
        waitsFor: async () => undefined,
      },
      reissue.step,
      {
        name: "retire",
        does: "The old authority tells what it has revoked, and goes on telling it.",
        impact: "UNTOUCHED",
        perform: (subject, guard) => this.#change(subject, guard, (tx, old) => this.succession.publish(tx, old)),
        waitsFor: async (subject) => {
          const { listsDueAt } = await this.#old(this.database.client, subject);
          return listsDueAt === null ? "the old authority's list is not published yet" : undefined;
        },
      },
    ];
  }

  async tunnels({ organizationId }: Subject): Promise<readonly string[]> {
    return (await certificateTunnels(this.database.client, organizationId)).map(({ name }) => name);
  }

  async isSwitched(subject: Subject): Promise<boolean> {
    return (await this.#made(this.database.client, subject))?.standby === false;
  }

  #change(
    subject: Subject,
    guard: Guard,
    work: (tx: Tx, old: OrganizationAuthority, made: OrganizationAuthority | null) => Promise<void>,
  ): Promise<void> {
    return this.changes.commit(subject, async (tx) => {
      await guard(tx);
      await work(tx, await this.#old(tx, subject), await this.#made(tx, subject));
    });
  }

  #made(tx: Tx, { organizationId, id }: Subject): Promise<OrganizationAuthority | null> {
    return this.succession.find(tx, organizationId, id);
  }

  async #old(tx: Tx, { organizationId, subjectId, name }: Subject): Promise<OrganizationAuthority> {
    const old = await this.succession.find(tx, organizationId, subjectId);
    if (old) return old;
    throw fault("rotation/subject-gone", `there is no authority ${name} any more`);
  }
}
