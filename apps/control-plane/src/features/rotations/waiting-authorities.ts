import { Injectable } from "@nestjs/common";
import { Changes } from "../../platform/database/changes.js";
import { Database, type Tx } from "../../platform/database/database.js";
import { AuthoritySuccession, type OrganizationAuthority } from "../certificates/authority-succession.service.js";
import { certificateTunnels } from "./certificate-tunnels.js";
import { fault } from "./faults.js";
import type { Guard, Subject } from "./saga.js";

/** An authority as its rotation finds it, and the one that has the id of the rotation's item, once that is made. */
export interface AuthorityPair {
  readonly old: OrganizationAuthority;
  readonly made: OrganizationAuthority | null;
}

/** What the rotations of authorities do to rows. */
@Injectable()
export class WaitingAuthorities {
  constructor(
    private readonly database: Database,
    private readonly changes: Changes,
    private readonly succession: AuthoritySuccession,
  ) {}

  /** @throws rotation/subject-gone */
  async find({ organizationId, subjectId, id, name }: Subject, tx: Tx = this.database.client): Promise<AuthorityPair> {
    const old = await this.succession.find(tx, organizationId, subjectId);
    if (!old) throw fault("rotation/subject-gone", `there is no authority ${name} any more`);
    return { old, made: await this.succession.find(tx, organizationId, id) };
  }

  change(subject: Subject, guard: Guard, work: (tx: Tx, pair: AuthorityPair) => Promise<void>): Promise<void> {
    return this.changes.commit(subject, async (tx) => {
      await guard(tx);
      await work(tx, await this.find(subject, tx));
    });
  }

  /** Names of all that rest on certificates below it. */
  async tunnels({ organizationId }: Subject): Promise<readonly string[]> {
    return (await certificateTunnels(this.database.client, organizationId)).map(({ name }) => name);
  }
}
