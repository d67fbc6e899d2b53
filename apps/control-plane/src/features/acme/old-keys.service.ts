import { Inject, Injectable } from "@nestjs/common";
import { Database, type Tx } from "../../platform/database/database.js";
import { LOG, type Log } from "../../platform/log/log.js";
import { Outbox } from "../../platform/outbox/outbox.js";
import type { Certificate } from "../../platform/prisma/generated/client.js";
import { EventService } from "../events/event.service.js";
import { COMPILE_INTENTS } from "../intents/jobs.js";
import { PinningPeers, pinText } from "./pinning-peers.js";

/** What is waited for is looked at so often when nobody tells anything. */
export const LOOK_MS = 15_000;
const BATCH = 50;
/** A reauthentication that comes to nothing is followed by another: IKE SAs may take 30 s to make room for the new. */
const REAUTHENTICATE_AGAIN_MS = 60_000;

/** An order that is looked at. */
export interface Due {
  readonly id: string;
  readonly organizationId: string;
}

export const WHOSE = { certificate: true, acmeCertificate: { select: { gatewayId: true, names: true } } } as const;

/** What gateways have shown before: those that have pinned it take it until nothing rests on it any more. */
@Injectable()
export class OldKeys {
  constructor(
    @Inject(LOG) private readonly log: Log,
    private readonly database: Database,
    private readonly events: EventService,
    private readonly outbox: Outbox,
    private readonly peers: PinningPeers,
  ) {}

  /** The certificate that the gateway shows; undefined: there is none, or the gateway has lost its key. */
  async shown(tx: Tx, organizationId: string, acmeCertificateId: string): Promise<Certificate | undefined> {
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
  async keep(tx: Tx, organizationId: string, acmeCertificateId: string, next: string, now: Date): Promise<void> {
    const before = await tx.acmeOrder.findFirst({
      where: { organizationId, acmeCertificateId, shownAt: { not: null }, id: { not: next } },
      orderBy: { id: "desc" },
      include: WHOSE,
    });
    if (!before || (await this.peers.tunnels(tx, { organizationId, ...before.acmeCertificate })).length === 0) return;
    await tx.acmeOrder.update({ where: { organizationId, id: before.id }, data: { retireAt: now } });
  }

  /** Of all organizations, what it is time to look at. Gives whether intents have to be compiled. */
  async forgetDue(now: Date): Promise<boolean> {
    const soon = new Date(now.getTime() + LOOK_MS);
    const due = await this.database.transaction(
      (tx) => tx.$queryRaw<Due[]>`
        UPDATE acme_orders SET retire_at = ${soon}
        WHERE id IN (SELECT id FROM acme_orders WHERE retire_at <= ${now} ORDER BY retire_at LIMIT ${BATCH} FOR UPDATE SKIP LOCKED)
        RETURNING id::text AS id, organization_id::text AS "organizationId"`,
    );
    return this.#forgetEach(due, now);
  }

  /** Of an organization whose gateways have told something. Gives whether intents have to be compiled. */
  async forgetUnused(organizationId: string, now: Date): Promise<boolean> {
    const kept = await this.database.client.acmeOrder.findMany({
      where: { organizationId, retireAt: { not: null } },
      orderBy: { retireAt: "asc" },
      take: BATCH,
      select: { id: true, organizationId: true, retireAt: true },
    });
    // What was asked for a moment ago is under way.
    const asks = ({ retireAt }: { retireAt: Date | null }) => Number(retireAt) <= now.getTime() + LOOK_MS;
    const forgotten = await this.#forgetEach(kept.filter(asks), now);
    const others = kept.filter((order) => !asks(order));
    return (await this.#forgetEach(others, now, { asks: false })) || forgotten;
  }

  async #forgetEach(orders: readonly Due[], now: Date, { asks = true } = {}): Promise<boolean> {
    let changed = false;
    for (const order of orders) {
      try {
        if (await this.#isNeeded(order, now, asks)) continue;
        changed = (await this.#forget(order)) || changed;
      } catch (err) {
        // Of a gateway that is away: it is looked at again.
        this.log.info({ err, order: order.id }, "an old key is still taken");
      }
    }
    return changed;
  }

  /** Whether something rests on it still. With `asks`, the ends authenticate each other anew then. */
  async #isNeeded({ organizationId, id }: Due, now: Date, asks: boolean): Promise<boolean> {
    const { client } = this.database;
    const order = await client.acmeOrder.findFirstOrThrow({ where: { organizationId, id }, include: WHOSE });
    const { acmeCertificateId, certificate, acmeCertificate } = order;
    const next = await this.shown(client, organizationId, acmeCertificateId);
    if (!next || !certificate || certificate.notAfter <= now || certificate.revokedAt !== null) return false;
    const of = { organizationId, gatewayId: acmeCertificate.gatewayId };
    const unproven = await this.peers.unproven(client, of, next.fingerprint);
    if (unproven.length === 0) return false;
    if (!asks) return true;
    const told = await Promise.all(unproven.map((tunnel) => this.peers.reauthenticate(of, tunnel, next.fingerprint)));
    if (told.includes(true)) {
      const retireAt = new Date(now.getTime() + REAUTHENTICATE_AGAIN_MS);
      await client.acmeOrder.updateMany({ where: { organizationId, id, retireAt: { not: null } }, data: { retireAt } });
    }
    return true;
  }

  /** Once, however many replicas find that it is not needed. */
  #forget({ organizationId, id }: Due): Promise<boolean> {
    return this.database.transaction(async (tx) => {
      const where = { organizationId, id, retireAt: { not: null } };
      const { count } = await tx.acmeOrder.updateMany({ where, data: { retireAt: null } });
      if (count === 0) return false;
      const { certificate, acmeCertificate } = await tx.acmeOrder.findFirstOrThrow({
        where: { organizationId, id },
        include: WHOSE,
      });
      const { gatewayId, names } = acmeCertificate;
      await this.outbox.add(tx, organizationId, COMPILE_INTENTS, {});
      await this.events.record(tx, organizationId, {
        kind: "acme/key-retired",
        severity: "INFO",
        message: `no gateway takes the key any more that ${names[0]} had before`,
        facts: { ...(certificate && { pin: pinText(certificate) }) },
        gatewayId,
      });
      return true;
    });
  }
}
