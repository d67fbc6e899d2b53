import { Injectable } from "@nestjs/common";
import { isHostName } from "@sallyport/intent";
import type { KeyType } from "@sallyport/pki";
import { Changes } from "../../platform/database/changes.js";
import { Database, type Tx } from "../../platform/database/database.js";
import { apiFault } from "../../platform/faults.js";
import { type Connection, type PageArgs, page, pageQuery } from "../../platform/graphql/connection.js";
import { checkUuid } from "../../platform/input.js";
import { Outbox } from "../../platform/outbox/outbox.js";
import type { AcmeAccount, AcmeCertificate, AcmeOrder, Certificate } from "../../platform/prisma/generated/client.js";
import type { AcmeChallenge } from "../../platform/prisma/generated/enums.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { AuditService } from "../audit/audit.service.js";
import { checkCount } from "../certificates/request-input.js";
import { DnsZoneService } from "../dns-zones/dns-zone.service.js";
import { recordName } from "../dns-zones/record-name.js";
import { IntentService } from "../intents/intent.service.js";
import { SiteWindows } from "../maintenance/site-windows.js";
import {
  checkWindow,
  movedInto,
  placesOf,
  shownWindow,
  type WindowInput,
  windowColumns,
  windowOf,
} from "../maintenance/window.js";
import { AcmeAccountService } from "./account.service.js";
import { fault } from "./faults.js";
import { ADVANCE_ORDER } from "./jobs.js";
import { pressingTime } from "./renewal-times.js";

export interface CertificateWish {
  readonly gatewayId: string;
  readonly accountId: string;
  readonly names: readonly string[];
  readonly challenge: AcmeChallenge;
  readonly keyType: KeyType;
  /** When renewals may begin; absent: at any time. */
  readonly renewalWindow?: WindowInput | null | undefined;
  /** Hours for which a new key is announced before it is shown. */
  readonly announceHours: number;
}

/** Keys that public authorities certify. */
const KEY_TYPES: readonly KeyType[] = ["ecdsa-p256", "ecdsa-p384", "rsa-2048", "rsa-3072", "rsa-4096"];
const MAX_NAMES = 25;
/** Of all names together: a request has to fit into a wake-up between replicas. */
const MAX_TEXT = 2_000;
const MAX_ANNOUNCE_HOURS = 720;
export const WEEK_MS = 7 * 86_400_000;
/** An order that was handed to the queue is looked at again after so long, in case the queue lost it. */
export const HANDED_OVER_MS = 60_000;

const bad = (field: string, value: string, expected: string) =>
  apiFault("api/bad-input", `${field}: expected ${expected}`, { field, value: value.slice(0, 100), expected });

const facts = (row: AcmeCertificate) => {
  const { gatewayId, accountId, names, challenge, keyType, announceHours } = row;
  const window = windowOf(row);
  const told = { gatewayId, accountId, names, challenge, keyType, announceHours };
  return { ...told, ...(window && { renewalWindow: shownWindow(window) }) };
};

/** Which gateways have certificates of public authorities, and the orders for them. */
@Injectable()
export class AcmeCertificateService {
  constructor(
    private readonly changes: Changes,
    private readonly database: Database,
    private readonly accounts: AcmeAccountService,
    private readonly audit: AuditService,
    private readonly intents: IntentService,
    private readonly outbox: Outbox,
    private readonly zones: DnsZoneService,
    private readonly windows: SiteWindows,
  ) {}

  /** Begins an order. A gateway that has such a certificate shows it until the new one is there. */
  request(context: TenantContext, input: CertificateWish): Promise<AcmeCertificate> {
    const { organizationId } = context;
    const gatewayId = checkUuid(input.gatewayId, "input.gatewayId");
    const names = checkAcmeNames(input.names, input.challenge === "DNS_01");
    if (!KEY_TYPES.includes(input.keyType)) throw bad("input.keyType", input.keyType, KEY_TYPES.join(", "));
    const { challenge, keyType } = input;
    const window = checkedWindow(input.renewalWindow);
    const announceHours = checkCount(input.announceHours, "input.announceHours", 0, MAX_ANNOUNCE_HOURS);
    return this.changes.commit(context, async (tx) => {
      const gateway = await tx.gateway.findFirst({
        where: { organizationId, id: gatewayId, state: { not: "RETIRED" } },
      });
      if (gateway === null) {
        throw apiFault("api/not-found", "there is no such gateway", { field: "input.gatewayId", value: gatewayId });
      }
      if (challenge === "DNS_01") {
        await this.zones.zonesOf(tx, organizationId, names.map(recordName), "input.names");
      }
      const account = await this.accounts.get(tx, organizationId, input.accountId, "input.accountId");
      const before = await tx.acmeCertificate.findFirst({ where: { organizationId, gatewayId } });
      const columns = { accountId: account.id, names, challenge, keyType, announceHours, ...windowColumns(window) };
      const wanted = before
        ? await tx.acmeCertificate.update({ where: { organizationId, id: before.id }, data: columns })
        : await tx.acmeCertificate.create({ data: { ...columns, organizationId, gatewayId } });
      await this.order(tx, wanted, account);
      const target = { kind: "acmeCertificate", id: wanted.id };
      await this.audit.record(tx, context, {
        action: "requestAcmeCertificate",
        target,
        ...(before && { before: facts(before) }),
        after: facts(wanted),
      });
      return wanted;
    });
  }

  /** The next renewal moves with its window. */
  update(
    context: TenantContext,
    rawId: string,
    input: Pick<CertificateWish, "renewalWindow"> & { readonly announceHours?: number | null | undefined },
  ): Promise<AcmeCertificate> {
    const { organizationId } = context;
    const window = input.renewalWindow && checkedWindow(input.renewalWindow);
    const hours = input.announceHours ?? undefined;
    if (hours !== undefined) checkCount(hours, "input.announceHours", 0, MAX_ANNOUNCE_HOURS);
    return this.changes.commit(context, async (tx) => {
      const before = await this.#get(tx, organizationId, checkUuid(rawId, "input.id"), "input.id");
      const { id, renewAt } = before;
      const announce = hours === undefined ? {} : { announceHours: hours };
      const current = (await this.current({ organizationId }, [id])).get(id);
      const columns = input.renewalWindow === undefined ? before : windowColumns(window ?? undefined);
      const { windowDays, windowFrom, windowMinutes, windowZone } = columns;
      const places = placesOf(columns, await this.windows.placesOf(organizationId, before.gatewayId, tx));
      const data = {
        ...{ windowDays, windowFrom, windowMinutes, windowZone, ...announce },
        renewAt: renewAt && current ? movedInto(places, renewAt, pressingTime(current)) : renewAt,
      };
      const after = await tx.acmeCertificate.update({ where: { organizationId, id }, data });
      const target = { kind: "acmeCertificate", id };
      const told = { action: "updateAcmeCertificate", target, before: facts(before), after: facts(after) };
      await this.audit.record(tx, context, told);
      return after;
    });
  }

  /** @throws acme/order-running, acme/budget-spent, acme/account-failed */
  async order(tx: Tx, wanted: AcmeCertificate, account: AcmeAccount): Promise<AcmeOrder> {
    const { organizationId, id: acmeCertificateId, names } = wanted;
    if (account.state === "FAILED") {
      throw fault("acme/account-failed", `the directory refused the account ${account.name}`, {
        field: "input.accountId",
        value: account.name,
        expected: "an account that is READY",
      });
    }
    const running = await tx.acmeOrder.findFirst({ where: { organizationId, acmeCertificateId, finishedAt: null } });
    if (running !== null) {
      throw fault("acme/order-running", "an order of this certificate is under way", {
        field: "input.gatewayId",
        value: running.id,
        expected: "its end",
      });
    }
    const since = new Date(Date.now() - WEEK_MS);
    const begun = await tx.acmeOrder.count({
      where: { organizationId, accountId: account.id, createdAt: { gt: since } },
    });
    if (begun >= account.ordersPerWeek) {
      throw fault("acme/budget-spent", `${account.name} has begun ${begun} orders within a week`, {
        field: "input.accountId",
        value: account.name,
        expected: `fewer than ${account.ordersPerWeek} orders a week`,
      });
    }
    const order = await tx.acmeOrder.create({
      data: {
        ...{ organizationId, acmeCertificateId, names, accountId: account.id },
        dueAt: new Date(Date.now() + HANDED_OVER_MS),
      },
    });
    await this.outbox.add(tx, organizationId, ADVANCE_ORDER, { orderId: order.id });
    return order;
  }

  /** The gateway shows its own certificate again. */
  remove(context: TenantContext, rawId: string): Promise<AcmeCertificate> {
    const { organizationId } = context;
    const id = checkUuid(rawId, "id");
    return this.changes.commit(context, async (tx) => {
      const row = await this.#get(tx, organizationId, id, "id");
      await tx.acmeCertificate.delete({ where: { organizationId, id } });
      await this.intents.recompile(tx, organizationId);
      const target = { kind: "acmeCertificate", id };
      await this.audit.record(tx, context, { action: "deleteAcmeCertificate", target, before: facts(row) });
      return row;
    });
  }

  async #get(tx: Tx, organizationId: string, id: string, field: string): Promise<AcmeCertificate> {
    const row = await tx.acmeCertificate.findFirst({ where: { organizationId, id } });
    if (row !== null) return row;
    throw apiFault("api/not-found", "there is no such certificate of a public authority", { field, value: id });
  }

  list({ organizationId }: TenantContext, args: PageArgs): Promise<Connection<AcmeCertificate>> {
    return page(args, (request) => {
      const { where, ...rest } = pageQuery(request, "asc");
      return this.database.client.acmeCertificate.findMany({ where: { organizationId, ...where }, ...rest });
    });
  }

  /** The newest orders of each, newest first. */
  async orders({ organizationId }: TenantContext, ids: readonly string[]): Promise<ReadonlyMap<string, AcmeOrder[]>> {
    const lists = await Promise.all(
      ids.map((acmeCertificateId) =>
        this.database.client.acmeOrder.findMany({
          where: { organizationId, acmeCertificateId },
          orderBy: { id: "desc" },
          take: 10,
        }),
      ),
    );
    return new Map(ids.map((id, i) => [id, lists[i] ?? []]));
  }

  /** The certificate that each has now. */
  async current(
    { organizationId }: Pick<TenantContext, "organizationId">,
    ids: readonly string[],
  ): Promise<ReadonlyMap<string, Certificate>> {
    const rows = await this.database.client.acmeOrder.findMany({
      where: {
        organizationId,
        acmeCertificateId: { in: [...ids] },
        shownAt: { not: null },
        certificateId: { not: null },
      },
      orderBy: { id: "desc" },
      distinct: ["acmeCertificateId"],
      include: { certificate: true },
    });
    return new Map(rows.flatMap((row) => (row.certificate ? [[row.acmeCertificateId, row.certificate]] : [])));
  }
}

const checkedWindow = (window: WindowInput | null | undefined) =>
  window ? checkWindow(window, "input.renewalWindow") : undefined;

/** Lower case, each once. */
export function checkAcmeNames(names: readonly string[], wildcards = false): string[] {
  const field = "input.names";
  const checked = [...new Set(names.map((name) => name.toLowerCase()))];
  if (checked.length === 0 || checked.length > MAX_NAMES)
    throw bad(field, `${names.length} names`, `1 to ${MAX_NAMES}`);
  if (checked.join("").length > MAX_TEXT) throw bad(field, "long names", `${MAX_TEXT} characters in all`);
  checked.forEach((name, i) => {
    // Whoever calls the gateway needs a name to call it by.
    const host = wildcards && i > 0 ? name.replace(/^\*\./, "") : name;
    if (!isHostName(host) || !host.includes(".")) throw bad(`${field}[${i}]`, name, "a DNS name, as vpn.example.org");
    if (checked.includes(`*.${name.slice(name.indexOf(".") + 1)}`) && !name.startsWith("*.")) {
      throw bad(`${field}[${i}]`, name, "no name that a wildcard of the list covers: authorities refuse that");
    }
  });
  return checked;
}
