import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from "@nestjs/common";
import { WakeUpBus } from "../../platform/bus/bus.js";
import { CONFIG, type Config } from "../../platform/config/config.js";
import { Changes } from "../../platform/database/changes.js";
import { Database, type Tx } from "../../platform/database/database.js";
import { apiFault } from "../../platform/faults.js";
import { Gathered } from "../../platform/gathered.js";
import { checkUuid } from "../../platform/input.js";
import { LOG, type Log } from "../../platform/log/log.js";
import { Outbox } from "../../platform/outbox/outbox.js";
import { Periodic } from "../../platform/periodic.js";
import type { AcmeCertificate, AcmeOrder, Certificate } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { AuditService } from "../audit/audit.service.js";
import { EventService } from "../events/event.service.js";
import { COMPILE_INTENTS } from "../intents/jobs.js";
import { type Due, LOOK_MS, OldKeys, WHOSE } from "./old-keys.service.js";
import { PinningPeers, pinText } from "./pinning-peers.js";
import { latestShowTime, showTime } from "./renewal-times.js";

const BATCH = 50;
/** What gateways of an organization tell within so long is looked at once. */
const GATHER_MS = 500;

/** A certificate that the gateway is going to show. */
export interface Announced {
  readonly certificate: Certificate;
  readonly showAt: Date;
}

/**
 * Between a certificate's issue and its use there is time in which peers who have pinned the old key come to take both. Gateways of ours
 * are waited for until they do; once nothing rests on the old key any more, they forget it.
 */
@Injectable()
export class AnnouncedKeys implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #periodic: Periodic;
  readonly #gathered: Gathered;
  readonly #ends: (() => void)[] = [];

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOG) private readonly log: Log,
    private readonly changes: Changes,
    private readonly database: Database,
    private readonly audit: AuditService,
    private readonly events: EventService,
    private readonly outbox: Outbox,
    private readonly peers: PinningPeers,
    private readonly old: OldKeys,
    private readonly bus: WakeUpBus,
  ) {
    this.#periodic = new Periodic(async () => void (await this.tick()), log);
    this.#gathered = new Gathered((organizationId) => this.#heard(organizationId), GATHER_MS, log);
  }

  onApplicationBootstrap(): void {
    if (!this.config.roles.has("jobs")) return;
    this.#periodic.start(LOOK_MS, LOOK_MS);
    const heard = ({ organizationId }: { readonly organizationId: string }) => this.#gathered.add(organizationId);
    this.#ends.push(this.bus.subscribe("confirmed", heard), this.bus.subscribe("tunnel", heard));
  }

  async onApplicationShutdown(): Promise<void> {
    for (const end of this.#ends) end();
    await Promise.all([this.#periodic.stop(), this.#gathered.stop()]);
  }

  /** Of a certificate that was issued just now: shows it, or announces it while another one is shown. */
  async issued(tx: Tx, { organizationId, id }: AcmeOrder, wanted: AcmeCertificate, next: Certificate): Promise<void> {
    const { id: acmeCertificateId, gatewayId, announceHours, names } = wanted;
    // What was announced before is not going to be shown any more.
    await tx.acmeOrder.updateMany({
      where: { organizationId, acmeCertificateId, showAt: { not: null }, shownAt: null },
      data: { showAt: null },
    });
    const shown = await this.old.shown(tx, organizationId, acmeCertificateId);
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
    const shown = await this.database.transaction(async (tx) =>
      this.#showEach(
        tx,
        await tx.$queryRaw<Due[]>`
          SELECT id::text AS id, organization_id::text AS "organizationId" FROM acme_orders
          WHERE show_at <= ${now} AND shown_at IS NULL ORDER BY show_at LIMIT ${BATCH} FOR UPDATE SKIP LOCKED`,
        now,
      ),
    );
    const forgotten = await this.old.forgetDue(now);
    if (shown > 0 || forgotten) this.outbox.wake();
    return shown;
  }

  /** Gateways of the organization run other intents, or have other SAs: whatever waits for that is looked at before its time. */
  async #heard(organizationId: string): Promise<void> {
    const now = new Date();
    const shown = await this.database.transaction(async (tx) =>
      this.#showEach(
        tx,
        await tx.$queryRaw<Due[]>`
          SELECT o.id::text AS id, o.organization_id::text AS "organizationId"
          FROM acme_orders o JOIN acme_certificates c ON c.id = o.acme_certificate_id
          WHERE o.organization_id = ${organizationId}::uuid AND c.announce_hours = 0
            AND o.show_at IS NOT NULL AND o.shown_at IS NULL
          ORDER BY o.show_at LIMIT ${BATCH} FOR UPDATE OF o SKIP LOCKED`,
        now,
      ),
    );
    const forgotten = await this.old.forgetUnused(organizationId, now);
    if (shown > 0 || forgotten) this.outbox.wake();
  }

  async #showEach(tx: Tx, orders: readonly Due[], now: Date): Promise<number> {
    let count = 0;
    for (const { id, organizationId } of orders) {
      if (await this.#isAwaited(tx, organizationId, id, now)) {
        const showAt = new Date(now.getTime() + LOOK_MS);
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
    const shown = await this.old.shown(tx, organizationId, order.acmeCertificateId);
    if (!shown || !order.certificate || latestShowTime(shown) <= now) return false;
    const of = { organizationId, gatewayId: order.acmeCertificate.gatewayId };
    const name = await this.peers.notTaking(tx, of, order.certificate.fingerprint);
    if (name !== undefined) this.log.info({ order: id, peer: name }, "a gateway does not take an announced key yet");
    return name !== undefined;
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

  async #show(tx: Tx, organizationId: string, id: string, now: Date): Promise<void> {
    const { acmeCertificateId, certificateId, showAt } = await tx.acmeOrder.update({
      where: { organizationId, id },
      data: { shownAt: now },
    });
    await this.old.keep(tx, organizationId, acmeCertificateId, id, now);
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
