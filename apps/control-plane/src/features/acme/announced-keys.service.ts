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
import { PinningPeers } from "./pinning-peers.js";
import { latestShowTime, showTime } from "./renewal-times.js";

const EVERY_MS = 15_000;
const BATCH = 50;
/** A reauthentication that comes to nothing is followed by another: IKE SAs may take 30 s to make room for the new. */
const REAUTHENTICATE_AGAIN_MS = 60_000;

/** A certificate that the gateway is going to show. */
export interface Announced {
  readonly certificate: Certificate;
  readonly showAt: Date;
}

interface Due {
  readonly id: string;
  readonly organizationId: string;
}

const WHOSE = { certificate: true, acmeCertificate: { select: { gatewayId: true, names: true } } } as const;

/** SHA-256 over the SubjectPublicKeyInfo, lower-case hexadecimal: what peers pin. */
export const pinText = ({ certificate }: Pick<Certificate, "certificate">) =>
  Buffer.from(pinOf(readCertificate(certificate).spki)).toString("hex");

/**
 * Between a certificate's issue and its use there is time in which peers who have pinned the old key come to take both. Gateways of ours
 * are waited for until they do; once nothing rests on the old key any more, they forget it.
 */
@Injectable()
export class AnnouncedKeys implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #periodic: Periodic;

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOG) private readonly log: Log,
    private readonly changes: Changes,
    private readonly database: Database,
    private readonly audit: AuditService,
    private readonly events: EventService,
    private readonly outbox: Outbox,
    private readonly peers: PinningPeers,
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
    const showAt = shown && (showTime(shown, announceHours, now) ?? (await this.#atOnce(tx, wanted, shown, now)));
    if (showAt === undefined) return this.#show(tx, organizationId, id, now);
    await this.outbox.add(tx, organizationId, COMPILE_INTENTS, {});
    await tx.acmeOrder.update({ where: { organizationId, id }, data: { showAt } });
    await this.events.record(tx, organizationId, {
      kind: "acme/key-announced",
      severity: "INFO",
      message: `${names[0]} has a new key, which is shown from ${showAt.toISOString()} on`,
      facts: { showAt: showAt.toISOString(), present: pinText(shown as Certificate), next: pinText(next) },
      gatewayId,
    });
  }

  /** As soon as gateways that have pinned the old key take the new one; undefined: there are none, or there is no time for that. */
  async #atOnce(tx: Tx, wanted: AcmeCertificate, shown: Certificate, now: Date): Promise<Date | undefined> {
    if (latestShowTime(shown) <= now) return undefined;
    return (await this.peers.tunnels(tx, wanted)).length > 0 ? now : undefined;
  }

  /** Shows what has been announced for long enough, and has old keys forgotten. Replicas may do it at the same time. Gives how many it showed. */
  async tick(now = new Date()): Promise<number> {
    const shown = await this.database.transaction((tx) => this.#showDue(tx, now));
    const changed = await this.#retireDue(now);
    if (shown > 0 || changed) this.outbox.wake();
    return shown;
  }

  async #showDue(tx: Tx, now: Date): Promise<number> {
    const due = await tx.$queryRaw<Due[]>`
      SELECT id::text AS id, organization_id::text AS "organizationId" FROM acme_orders
      WHERE show_at <= ${now} AND shown_at IS NULL ORDER BY show_at LIMIT ${BATCH} FOR UPDATE SKIP LOCKED`;
    let count = 0;
    for (const { id, organizationId } of due) {
      if (await this.#isAwaited(tx, organizationId, id, now)) {
        const showAt = new Date(now.getTime() + EVERY_MS);
        await tx.acmeOrder.update({ where: { organizationId, id }, data: { showAt } });
        continue;
      }
      await this.#show(tx, organizationId, id, now);
      count++;
    }
    return count;
  }

  /** Whether a gateway does not take the new certificate yet and there is time to wait for it. */
  async #isAwaited(tx: Tx, organizationId: string, id: string, now: Date): Promise<boolean> {
    const order = await tx.acmeOrder.findFirstOrThrow({ where: { organizationId, id }, include: WHOSE });
    const shown = await this.#shown(tx, organizationId, order.acmeCertificateId);
    if (!shown || !order.certificate || latestShowTime(shown) <= now) return false;
    const of = { organizationId, gatewayId: order.acmeCertificate.gatewayId };
    const name = await this.peers.notTaking(tx, of, order.certificate.fingerprint);
    if (name !== undefined) this.log.info({ order: id, peer: name }, "a gateway does not take an announced key yet");
    return name !== undefined;
  }

  async #retireDue(now: Date): Promise<boolean> {
    const soon = new Date(now.getTime() + EVERY_MS);
    const due = await this.database.transaction(
      (tx) => tx.$queryRaw<Due[]>`
        UPDATE acme_orders SET retire_at = ${soon}
        WHERE id IN (SELECT id FROM acme_orders WHERE retire_at <= ${now} ORDER BY retire_at LIMIT ${BATCH} FOR UPDATE SKIP LOCKED)
        RETURNING id::text AS id, organization_id::text AS "organizationId"`,
    );
    let changed = false;
    for (const each of due) {
      try {
        changed = (await this.#retire(each, now)) || changed;
      } catch (err) {
        // Of a gateway that is away: it is looked at again.
        this.log.info({ err, order: each.id }, "an old key is still taken");
      }
    }
    return changed;
  }

  /** Whether nobody takes the certificate any more. Where something rests on it still, the ends authenticate each other anew. */
  async #retire({ organizationId, id }: Due, now: Date): Promise<boolean> {
    const client = this.database.client;
    const { acmeCertificateId, certificate, acmeCertificate } = await client.acmeOrder.findFirstOrThrow({
      where: { organizationId, id },
      include: WHOSE,
    });
    const { gatewayId, names } = acmeCertificate;
    const of = { organizationId, gatewayId };
    const next = await this.#shown(client, organizationId, acmeCertificateId);
    if (next && certificate && certificate.notAfter > now && certificate.revokedAt === null) {
      const unproven = await this.peers.unproven(client, of, next.fingerprint);
      if (unproven.length > 0) {
        const told = await Promise.all(
          unproven.map((tunnel) => this.peers.reauthenticate(of, tunnel, next.fingerprint)),
        );
        if (!told.includes(true)) return false;
        const retireAt = new Date(now.getTime() + REAUTHENTICATE_AGAIN_MS);
        await client.acmeOrder.updateMany({
          where: { organizationId, id, retireAt: { not: null } },
          data: { retireAt },
        });
        return false;
      }
    }
    await this.database.transaction(async (tx) => {
      await tx.acmeOrder.update({ where: { organizationId, id }, data: { retireAt: null } });
      await this.outbox.add(tx, organizationId, COMPILE_INTENTS, {});
      await this.events.record(tx, organizationId, {
        kind: "acme/key-retired",
        severity: "INFO",
        message: `no gateway takes the key any more that ${names[0]} had before`,
        facts: { ...(certificate && { pin: pinText(certificate) }) },
        gatewayId,
      });
    });
    return true;
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

  /** What was shown before is taken until nothing rests on it. */
  async #keepTaken(tx: Tx, organizationId: string, acmeCertificateId: string, next: string, now: Date): Promise<void> {
    const before = await tx.acmeOrder.findFirst({
      where: { organizationId, acmeCertificateId, shownAt: { not: null }, id: { not: next } },
      orderBy: { id: "desc" },
      include: WHOSE,
    });
    if (!before || (await this.peers.tunnels(tx, { organizationId, ...before.acmeCertificate })).length === 0) return;
    await tx.acmeOrder.update({ where: { organizationId, id: before.id }, data: { retireAt: now } });
  }

  async #show(tx: Tx, organizationId: string, id: string, now: Date): Promise<void> {
    const { acmeCertificateId, certificateId, showAt } = await tx.acmeOrder.update({
      where: { organizationId, id },
      data: { shownAt: now },
    });
    await this.#keepTaken(tx, organizationId, acmeCertificateId, id, now);
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
        message: `${names[0]} shows the key that was announced; what authenticates from now on does so by it`,
        facts: {},
        gatewayId,
      });
    }
    await this.outbox.add(tx, organizationId, COMPILE_INTENTS, {});
  }
}
