import {
  Inject,
  Injectable,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleInit,
} from "@nestjs/common";
import { isFault } from "@sallyport/base";
import { readCertificate } from "@sallyport/pki";
import { CONFIG, type Config } from "../../platform/config/config.js";
import { Database, type Tx } from "../../platform/database/database.js";
import { LOG, type Log } from "../../platform/log/log.js";
import type { JobContext, JobRunner } from "../../platform/outbox/job.js";
import { Jobs } from "../../platform/outbox/jobs.js";
import { Outbox } from "../../platform/outbox/outbox.js";
import { Periodic } from "../../platform/periodic.js";
import type { Certificate } from "../../platform/prisma/generated/client.js";
import { EventService } from "../events/event.service.js";
import { SiteWindows } from "../maintenance/site-windows.js";
import { movedInto, placesOf } from "../maintenance/window.js";
import { AcmeCertificateService } from "./certificate.service.js";
import { ASK_RENEWAL, type AskRenewal } from "./jobs.js";
import { renewalInfo } from "./renewal-info.js";
import { alertSeverity, alertTime, pressingTime, suggestedTime } from "./renewal-times.js";

const EVERY_MS = 30_000;
const BATCH = 50;
/** A renewal that came to nothing is begun anew after so long, and a directory that did not answer is asked again. */
const AGAIN_MS = 6 * 3_600_000;
/** One that the account's budget does not allow yet. */
const BUDGET_MS = 3_600_000;

interface Due {
  readonly id: string;
  readonly organizationId: string;
}

/** Begins orders when certificates are to be renewed, asks directories when that is, and tells operators of what was not renewed. */
@Injectable()
export class RenewalService
  implements JobRunner<AskRenewal>, OnModuleInit, OnApplicationBootstrap, OnApplicationShutdown
{
  readonly type = ASK_RENEWAL;
  readonly #periodic: Periodic;

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOG) private readonly log: Log,
    private readonly database: Database,
    private readonly certificates: AcmeCertificateService,
    private readonly events: EventService,
    private readonly outbox: Outbox,
    private readonly jobs: Jobs,
    private readonly windows: SiteWindows,
  ) {
    this.#periodic = new Periodic(() => this.tick(), log);
  }

  onModuleInit(): void {
    this.jobs.register(this);
  }

  onApplicationBootstrap(): void {
    if (this.config.roles.has("jobs")) this.#periodic.start(EVERY_MS, EVERY_MS);
  }

  onApplicationShutdown(): Promise<void> {
    return this.#periodic.stop();
  }

  /** Replicas may do it at the same time. */
  async tick(now = new Date()): Promise<void> {
    await this.database.transaction((tx) => this.#renew(tx, now));
    await this.database.transaction((tx) => this.#ask(tx, now));
    await this.database.transaction((tx) => this.#alert(tx, now));
    this.outbox.wake();
  }

  /** A gateway that was enrolled anew has lost its key: its certificate is ordered at once. */
  async #renew(tx: Tx, now: Date): Promise<void> {
    const [soon, again] = [BUDGET_MS, AGAIN_MS].map((ms) => new Date(now.getTime() + ms));
    const due = await tx.$queryRaw<Due[]>`
      UPDATE acme_certificates SET renew_at = ${again}
      WHERE id IN (
        SELECT c.id FROM acme_certificates c JOIN gateways g ON g.id = c.gateway_id AND g.organization_id = c.organization_id
        WHERE g.state = 'ENROLLED' AND c.renew_at IS NOT NULL AND (c.renew_at <= ${now} OR (c.renew_at > ${soon} AND
          g.enrolled_at > (SELECT max(o.created_at) FROM acme_orders o WHERE o.acme_certificate_id = c.id)))
          AND NOT EXISTS (SELECT 1 FROM acme_orders o WHERE o.acme_certificate_id = c.id AND o.finished_at IS NULL)
        ORDER BY c.renew_at LIMIT ${BATCH} FOR UPDATE OF c SKIP LOCKED)
      RETURNING id::text AS id, organization_id::text AS "organizationId"`;
    for (const each of due) {
      const renewAt = await this.#waitsUntil(tx, each, now);
      if (renewAt === undefined) await this.#begin(tx, each, now);
      else await tx.acmeCertificate.update({ where: each, data: { renewAt } });
    }
  }

  /** When the window opens for which a renewal waits; undefined: it does not wait. Without a key that works, or for the end, nobody waits. */
  async #waitsUntil(tx: Tx, { id, organizationId }: Due, now: Date): Promise<Date | undefined> {
    const row = await tx.acmeCertificate.findFirstOrThrow({
      where: { organizationId, id },
      include: { gateway: { select: { enrolledAt: true } }, orders: { orderBy: { id: "desc" }, take: 1 } },
    });
    const { enrolledAt } = row.gateway;
    const [newest] = row.orders;
    if (enrolledAt && newest && enrolledAt > newest.createdAt) return undefined;
    const current = await this.#current(tx, organizationId, id);
    if (current === undefined) return undefined;
    const places = placesOf(row, await this.windows.placesOf(organizationId, row.gatewayId, tx));
    const begin = movedInto(places, now, pressingTime(current));
    return begin <= now ? undefined : begin;
  }

  async #begin(tx: Tx, { id, organizationId }: Due, now: Date): Promise<void> {
    const { account, ...wanted } = await tx.acmeCertificate.findFirstOrThrow({
      where: { organizationId, id },
      include: { account: true },
    });
    try {
      await this.certificates.order(tx, wanted, account);
    } catch (error) {
      if (!isFault(error)) throw error;
      await tx.acmeCertificate.update({
        where: { organizationId, id },
        data: { renewAt: new Date(now.getTime() + BUDGET_MS) },
      });
      await this.events.record(tx, organizationId, {
        kind: "acme/renewal-delayed",
        severity: "WARNING",
        message: `${wanted.names[0]} is not renewed yet: ${error.message}`,
        facts: { code: error.code, account: account.name },
        gatewayId: wanted.gatewayId,
      });
    }
  }

  async #ask(tx: Tx, now: Date): Promise<void> {
    const again = new Date(now.getTime() + AGAIN_MS);
    const due = await tx.$queryRaw<Due[]>`
      UPDATE acme_certificates SET ask_at = ${again}
      WHERE id IN (SELECT id FROM acme_certificates WHERE ask_at <= ${now} ORDER BY ask_at LIMIT ${BATCH} FOR UPDATE SKIP LOCKED)
      RETURNING id::text AS id, organization_id::text AS "organizationId"`;
    for (const { id, organizationId } of due) {
      await this.outbox.add(tx, organizationId, ASK_RENEWAL, { acmeCertificateId: id });
    }
  }

  async #alert(tx: Tx, now: Date): Promise<void> {
    const due = await tx.$queryRaw<Due[]>`
      SELECT id::text AS id, organization_id::text AS "organizationId" FROM acme_certificates
      WHERE alert_at <= ${now} ORDER BY alert_at LIMIT ${BATCH} FOR UPDATE SKIP LOCKED`;
    for (const { id, organizationId } of due) {
      const current = await this.#current(tx, organizationId, id);
      const alertAt = current === undefined ? null : (alertTime(current, now) ?? null);
      const { names, gatewayId } = await tx.acmeCertificate.update({
        where: { organizationId, id },
        data: { alertAt },
      });
      if (current === undefined) continue;
      const over = current.notAfter <= now;
      await this.events.record(tx, organizationId, {
        kind: over ? "acme/certificate-expired" : "acme/certificate-expiring",
        severity: alertSeverity(current, now),
        message: `the certificate of ${names[0]} ${over ? "has expired" : "was not renewed yet and expires"} (${current.notAfter.toISOString()})`,
        facts: { serial: current.serial, notAfter: current.notAfter.toISOString() },
        gatewayId,
      });
    }
  }

  /** Asks a directory when it wants a certificate renewed. What it does not say now, it may say later. */
  async run({ acmeCertificateId: id }: AskRenewal, { organizationId }: JobContext): Promise<void> {
    const where = { organizationId, id };
    const row = await this.database.client.acmeCertificate.findFirst({ where, include: { account: true } });
    const current = row && (await this.#current(this.database.client, organizationId, id));
    if (!row || !current) return;
    const { directoryUrl, directoryRoots } = row.account;
    const leaf = readCertificate(current.certificate);
    let info: Awaited<ReturnType<typeof renewalInfo>>;
    try {
      info = await renewalInfo({ directoryUrl, roots: directoryRoots ?? undefined }, leaf);
    } catch (err) {
      // Its time of its own stands, and the directory is asked again.
      this.log.warn({ err, names: row.names }, "the directory does not say when it wants a certificate renewed");
      return;
    }
    const now = Date.now();
    const askAt = info === undefined ? null : new Date(now + info.askAgainMs);
    const certificate = { ...current, fingerprint: leaf.fingerprint };
    const places = placesOf(row, await this.windows.placesOf(organizationId, row.gatewayId));
    const renewAt = info && movedInto(places, suggestedTime(certificate, info.window), pressingTime(current));
    // An order that came to nothing has a time of its own.
    const recent = await this.database.client.acmeOrder.findFirst({
      where: {
        organizationId,
        acmeCertificateId: id,
        state: { not: "ISSUED" },
        OR: [{ createdAt: { gt: new Date(now - AGAIN_MS) } }, { finishedAt: null }],
      },
    });
    const moves = renewAt !== undefined && recent === null;
    await this.database.client.acmeCertificate.updateMany({ where, data: { askAt, ...(moves && { renewAt }) } });
    // What a directory wants replaced by now, perhaps because it revokes it, waits for no window.
    if (info === undefined || !moves || info.window.end.getTime() > now) return;
    await this.database.transaction((tx) => this.#begin(tx, { organizationId, id }, new Date(now)));
    this.outbox.wake();
  }

  async #current(
    client: Pick<Tx, "acmeOrder">,
    organizationId: string,
    acmeCertificateId: string,
  ): Promise<Certificate | undefined> {
    const order = await client.acmeOrder.findFirst({
      where: { organizationId, acmeCertificateId, state: "ISSUED", certificateId: { not: null } },
      orderBy: { id: "desc" },
      include: { certificate: true },
    });
    return order?.certificate ?? undefined;
  }
}
