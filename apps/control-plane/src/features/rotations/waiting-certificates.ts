import { Injectable } from "@nestjs/common";
import { Changes } from "../../platform/database/changes.js";
import { Database, type Tx } from "../../platform/database/database.js";
import type { Certificate, Gateway } from "../../platform/prisma/generated/client.js";
import { AgentCommands } from "../agents/agent-commands.service.js";
import { CertificateService, type GatewayPurpose } from "../certificates/certificate.service.js";
import { StoredIntentService } from "../intents/stored-intent.service.js";
import { fault } from "./faults.js";
import type { Guard, Subject } from "./saga.js";

/** A gateway's certificate as a rotation finds it, and the one that has the id of the rotation's item, once that is issued. */
export interface WaitingPair {
  readonly gateway: Gateway;
  readonly present: Certificate;
  readonly made: Certificate | null;
}

/**
 * What the rotations of gateways' certificates do to rows: a new one is issued beside the present one, takes its place or is taken
 * back, and the old ones are revoked. Each may be done twice.
 */
@Injectable()
export class WaitingCertificates {
  constructor(
    private readonly database: Database,
    private readonly changes: Changes,
    private readonly certificates: CertificateService,
    private readonly intents: StoredIntentService,
    private readonly commands: AgentCommands,
  ) {}

  /** The agent makes a key, which never leaves it; the same item gives the same key again. */
  async issue(subject: Subject, purpose: GatewayPurpose, guard: Guard): Promise<void> {
    const { gateway, made } = await this.find(subject, purpose);
    if (made) return;
    const { organizationId, id: gatewayId, identity } = gateway;
    const value = { id: subject.id, names: [identity], keyType: "ecdsa-p256" };
    const csr = await this.commands.give({ organizationId, gatewayId }, { case: "requestCertificate", value });
    if (csr === undefined) throw fault("rotation/refused", `the agent of ${gateway.name} gives no certificate request`);
    await this.#change(subject, purpose, guard, async (tx, pair) => {
      if (pair.made) return;
      const more = { id: subject.id, csr, replacesId: pair.present.id };
      await this.certificates.issueBeside(tx, gateway, purpose, more);
    });
  }

  switch(subject: Subject, purpose: GatewayPurpose, guard: Guard): Promise<void> {
    return this.#change(subject, purpose, guard, async (tx, { gateway, made }) => {
      if (!made) throw fault("rotation/subject-gone", `the new certificate of ${gateway.name} is not there`);
      if (!made.standby) return;
      await this.certificates.takePlace(tx, made);
      if (purpose === "GATEWAY_IDENTITY") await this.intents.recompile(tx, subject.organizationId);
    });
  }

  revokeOld(subject: Subject, purpose: GatewayPurpose, guard: Guard): Promise<void> {
    return this.#change(subject, purpose, guard, (tx, { gateway }) =>
      this.certificates.revokeOthers(tx, gateway.organizationId, gateway.id, purpose),
    );
  }

  takeBack(subject: Subject, guard: Guard): Promise<void> {
    return this.changes.commit(subject, async (tx) => {
      await guard(tx);
      const made = await this.#made(tx, subject);
      if (made?.standby && made.revokedAt === null) await this.certificates.takeBack(tx, made);
    });
  }

  async isSwitched(subject: Subject): Promise<boolean> {
    return (await this.#made(this.database.client, subject))?.standby === false;
  }

  /** @throws rotation/subject-gone when the gateway is not enrolled any more, or got other certificates meanwhile */
  async find(
    { organizationId, subjectId, id, name }: Subject,
    purpose: GatewayPurpose,
    tx: Tx = this.database.client,
  ): Promise<WaitingPair> {
    const gateway = await tx.gateway.findUnique({ where: { organizationId, id: subjectId, state: "ENROLLED" } });
    const present = await tx.certificate.findFirst({
      where: { organizationId, gatewayId: subjectId, purpose, standby: false, supersededAt: null, revokedAt: null },
      orderBy: { id: "desc" },
    });
    if (!gateway || !present) throw fault("rotation/subject-gone", `${name} has no certificate any more`);
    const made = await this.#made(tx, { organizationId, id });
    if (made?.standby && made.supersededAt !== null) {
      throw fault("rotation/subject-gone", `${name} was given other certificates meanwhile`);
    }
    return { gateway, present, made };
  }

  #made(tx: Tx, { organizationId, id }: Pick<Subject, "organizationId" | "id">): Promise<Certificate | null> {
    return tx.certificate.findUnique({ where: { organizationId, id } });
  }

  #change(
    subject: Subject,
    purpose: GatewayPurpose,
    guard: Guard,
    work: (tx: Tx, pair: WaitingPair) => Promise<void>,
  ): Promise<void> {
    return this.changes.commit(subject, async (tx) => {
      await guard(tx);
      await work(tx, await this.find(subject, purpose, tx));
    });
  }
}
