import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from "@nestjs/common";
import { pinOf, readCertificate } from "@sallyport/pki";
import { CONFIG, type Config } from "../../platform/config/config.js";
import { Changes } from "../../platform/database/changes.js";
import { Database, type Tx } from "../../platform/database/database.js";
import { apiFault } from "../../platform/faults.js";
import { checkUuid } from "../../platform/input.js";
import { LOG, type Log } from "../../platform/log/log.js";
import { Outbox } from "../../platform/outbox/outbox.js";
import { Periodic } from "../../platform/periodic.js";
import type { AcmeCertificate, AcmeOrder, Certificate } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { AuditService } from "../audit/audit.service.js";
import { EventService } from "../events/event.service.js";
import { COMPILE_INTENTS } from "../intents/jobs.js";
import { showTime } from "./renewal-times.js";

const EVERY_MS = 15_000;
const BATCH = 50;

/** A certificate that the gateway is going to show. */
export interface Announced {
  readonly certificate: Certificate;
  readonly showAt: Date;
}

interface Due {
  readonly id: string;
  readonly organizationId: string;
}

/** SHA-256 over the SubjectPublicKeyInfo, lower-case hexadecimal: what peers pin. */
export const pinText = ({ certificate }: Pick<Certificate, "certificate">) =>
  Buffer.from(pinOf(readCertificate(certificate).spki)).toString("hex");

/** Between a certificate's issue and its use there is time in which peers who have pinned the old key come to take both. */
@Injectable()
export class AnnouncedKeys implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #periodic: Periodic;

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOG) log: Log,
    private readonly changes: Changes,
    private readonly database: Database,
    private readonly audit: AuditService,
    private readonly events: EventService,
    private readonly outbox: Outbox,
  ) {
    this.#periodic = new Periodic(async () => void (await this.tick()), log);
  }

  onApplicationBootstrap(): void {
    if (this.config.roles.has("jobs")) this.#periodic.start(EVERY_MS, EVERY_MS);
  }

  onApplicationShutdown(): Promise<void> {
    return this.#periodic.stop();
  }

  /** Of a certificate that was issued just now: shows it, or announces it while another one is shown. */
  async issued(tx: Tx, { organizationId, id }: AcmeOrder, wanted: AcmeCertificate, next: Certificate): Promise<void> {
    const { id: acmeCertificateId, gatewayId, announceHours, names } = wanted;
    // What was announced before is not going to be shown any more.
    await tx.acmeOrder.updateMany({
      where: { organizationId, acmeCertificateId, showAt: { not: null }, shownAt: null },
      data: { showAt: null },
    });
    const shown = await this.#shown(tx, organizationId, acmeCertificateId);
    const now = new Date();
    const showAt = shown && showTime(shown, announceHours, now);
    if (showAt === undefined) return this.#show(tx, organizationId, id, now);
    await tx.acmeOrder.update({ where: { organizationId, id }, data: { showAt } });
    await this.events.record(tx, organizationId, {
      kind: "acme/key-announced",
      severity: "INFO",
      message: `${names[0]} has a new key, which is shown from ${showAt.toISOString()} on`,
      facts: { showAt: showAt.toISOString(), present: pinText(shown as Certificate), next: pinText(next) },
      gatewayId,
    });
  }

  /** Shows what has been announced for long enough. Replicas may do it at the same time. Gives how many there were. */
  async tick(now = new Date()): Promise<number> {
    const shown = await this.database.transaction(async (tx) => {
      const due = await tx.$queryRaw<Due[]>`
        SELECT id::text AS id, organization_id::text AS "organizationId" FROM acme_orders
        WHERE show_at <= ${now} AND shown_at IS NULL ORDER BY show_at LIMIT ${BATCH} FOR UPDATE SKIP LOCKED`;
      for (const { id, organizationId } of due) await this.#show(tx, organizationId, id, now);
      return due.length;
    });
    if (shown > 0) this.outbox.wake();
    return shown;
  }

  /** Before its time: the peers are ready. */
  showNow(context: TenantContext, rawId: string): Promise<AcmeCertificate> {
    const { organizationId } = context;
    const id = checkUuid(rawId, "id");
    return this.changes.commit(context, async (tx) => {
      const announced = await tx.acmeOrder.findFirst({
        where: { organizationId, acmeCertificateId: id, showAt: { not: null }, shownAt: null },
      });
      if (announced === null) {
        const expected = "a certificate with a key that is announced";
        throw apiFault("api/not-found", "no key is announced", { field: "id", value: id, expected });
      }
      await this.#show(tx, organizationId, announced.id, new Date());
      const target = { kind: "acmeCertificate", id };
      await this.audit.record(tx, context, { action: "showAnnouncedKey", target });
      return tx.acmeCertificate.findFirstOrThrow({ where: { organizationId, id } });
    });
  }

  /** What is announced, by the ids of `AcmeCertificate`s. */
  async announced(
    { organizationId }: Pick<TenantContext, "organizationId">,
    ids: readonly string[],
  ): Promise<ReadonlyMap<string, Announced>> {
    const rows = await this.database.client.acmeOrder.findMany({
      where: { organizationId, acmeCertificateId: { in: [...ids] }, showAt: { not: null }, shownAt: null },
      include: { certificate: true },
    });
    return new Map(
      rows.flatMap(({ acmeCertificateId, certificate, showAt }) =>
        certificate && showAt ? [[acmeCertificateId, { certificate, showAt }] as const] : [],
      ),
    );
  }

  /** The certificate that the gateway shows; undefined: there is none, or the gateway has lost its key. */
  async #shown(tx: Tx, organizationId: string, acmeCertificateId: string): Promise<Certificate | undefined> {
    const order = await tx.acmeOrder.findFirst({
      where: { organizationId, acmeCertificateId, shownAt: { not: null }, certificate: { revokedAt: null } },
      orderBy: { id: "desc" },
      include: { certificate: true, acmeCertificate: { select: { gateway: { select: { enrolledAt: true } } } } },
    });
    const { enrolledAt } = order?.acmeCertificate.gateway ?? {};
    if (!order?.certificate || (enrolledAt && order.createdAt < enrolledAt)) return undefined;
    return order.certificate;
  }

  async #show(tx: Tx, organizationId: string, id: string, now: Date): Promise<void> {
    const { acmeCertificateId, certificateId, showAt } = await tx.acmeOrder.update({
      where: { organizationId, id },
      data: { shownAt: now },
    });
    if (certificateId !== null) {
      await tx.certificate.updateMany({
        where: { organizationId, acmeOrder: { acmeCertificateId }, supersededAt: null, id: { not: certificateId } },
        data: { supersededAt: now },
      });
    }
    if (showAt !== null) {
      const { names, gatewayId } = await tx.acmeCertificate.findFirstOrThrow({
        where: { organizationId, id: acmeCertificateId },
      });
      await this.events.record(tx, organizationId, {
        kind: "acme/key-shown",
        severity: "INFO",
        message: `${names[0]} shows the key that was announced; nobody needs the old one any more`,
        facts: {},
        gatewayId,
      });
    }
    await this.outbox.add(tx, organizationId, COMPILE_INTENTS, {});
  }
}
