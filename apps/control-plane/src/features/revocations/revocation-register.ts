import { Injectable } from "@nestjs/common";
import type { Tx } from "../../platform/database/database.js";
import { Outbox } from "../../platform/outbox/outbox.js";
import type { Certificate, Revocation, RoadWarrior } from "../../platform/prisma/generated/client.js";
import { TELL_REVOCATIONS } from "./jobs.js";
import { RevocationStore } from "./revocation.store.js";

/** The register of whom gateways let in no more. Every way to revoke somebody leads through here, in the transaction of the change. */
@Injectable()
export class RevocationRegister {
  constructor(
    private readonly store: RevocationStore,
    private readonly outbox: Outbox,
  ) {}

  /** `lifted`: they are let in again. Certificates of the control channel are no business of other gateways. */
  certificates(tx: Tx, organizationId: string, rows: readonly Certificate[], lifted: boolean): Promise<Revocation[]> {
    const entries = rows
      .filter(({ purpose }) => purpose !== "CONTROL_CHANNEL")
      .map(({ id, fingerprint, subject, notAfter }) => ({
        kind: "CERTIFICATE" as const,
        subjectId: id,
        key: fingerprint,
        name: subject,
        notAfter,
        lifted,
      }));
    return this.#write(tx, organizationId, entries);
  }

  person(tx: Tx, organizationId: string, { id, username }: RoadWarrior, lifted: boolean): Promise<Revocation[]> {
    const entry = { kind: "PERSON" as const, subjectId: id, key: username, name: username, notAfter: null, lifted };
    return this.#write(tx, organizationId, [entry]);
  }

  /** Somebody of this user name is let in no more. */
  async refuses(tx: Tx, organizationId: string, { username }: Pick<RoadWarrior, "username">): Promise<boolean> {
    const last = await this.store.last(tx, organizationId, "PERSON", username);
    return last !== undefined && !last.lifted;
  }

  async #write(
    tx: Tx,
    organizationId: string,
    entries: Parameters<RevocationStore["append"]>[2],
  ): Promise<Revocation[]> {
    const written = await this.store.append(tx, organizationId, entries);
    const number = written.at(-1)?.number;
    if (number !== undefined) {
      await this.outbox.add(tx, organizationId, TELL_REVOCATIONS, { number });
      this.outbox.wakeOthers(tx, "revocation", { organizationId, number });
    }
    return written;
  }
}
