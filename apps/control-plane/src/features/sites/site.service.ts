import { Injectable } from "@nestjs/common";
import { Prefix } from "@sallyport/base";
import { WakeUpBus } from "../../platform/bus/bus.js";
import { Changes } from "../../platform/database/changes.js";
import type { Tx } from "../../platform/database/database.js";
import { apiFault } from "../../platform/faults.js";
import { type Connection, type PageArgs, page } from "../../platform/graphql/connection.js";
import { checkName, checkSubnets, checkUuid } from "../../platform/input.js";
import type { Gateway, Network, Site } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { AuditService } from "../audit/audit.service.js";
import { EnrolmentService, type IssuedEnrolment } from "../enrolment/enrolment.service.js";
import { EventService } from "../events/event.service.js";
import { GatewayService, type NewGateway } from "../gateways/gateway.service.js";
import { IntentService } from "../intents/intent.service.js";
import { Planner } from "../intents/planner.js";
import { SiteWindows } from "../maintenance/site-windows.js";
import { checkHours, checkZone, type HoursInput, shownHours, type Window } from "../maintenance/window.js";
import { NetworkService } from "../networks/network.service.js";
import { SiteStore } from "./site.store.js";

export interface NewSite {
  readonly name: string;
  readonly subnets: readonly string[];
  readonly gateway: NewGateway;
}

export interface MadeSite {
  readonly site: Site;
  readonly gateway: Gateway;
  readonly enrolment: IssuedEnrolment;
}

export interface OnboardedSite extends MadeSite {
  readonly network: Network;
}

export interface SiteHours {
  readonly siteId: string;
  readonly timeZone: string;
  readonly windows: readonly HoursInput[];
}

/** Three for each day of the week. */
const MAX_WINDOWS = 21;

@Injectable()
export class SiteService {
  constructor(
    private readonly changes: Changes,
    private readonly store: SiteStore,
    private readonly gateways: GatewayService,
    private readonly networks: NetworkService,
    private readonly enrolments: EnrolmentService,
    private readonly planner: Planner,
    private readonly intents: IntentService,
    private readonly events: EventService,
    private readonly audit: AuditService,
    private readonly bus: WakeUpBus,
    private readonly maintenance: SiteWindows,
  ) {}

  /** A site with its gateway, in no network yet. */
  async create(context: TenantContext, input: NewSite): Promise<MadeSite> {
    return this.changes.commit(context, async (tx) => {
      const made = await this.#make(tx, context, "createSite", input);
      await this.#settle(tx, context, made.site);
      return made;
    });
  }

  /** A site with its gateway, joined to a network as a spoke. */
  async onboard(context: TenantContext, input: NewSite & { readonly networkId: string }): Promise<OnboardedSite> {
    const onboarded = await this.changes.commit(context, async (tx) => {
      const made = await this.#make(tx, context, "onboardSite", input);
      const network = await this.networks.addSpoke(tx, context, input.networkId, made.gateway, "input.networkId");
      await this.#settle(tx, context, made.site);
      return { ...made, network };
    });
    const { organizationId } = context;
    this.bus.publish("onboarding", { organizationId, gatewayId: onboarded.gateway.id }).catch(() => {});
    return onboarded;
  }

  /** When work there may begin. @throws api/not-found, api/bad-input */
  setWindows(context: TenantContext, input: SiteHours): Promise<Site> {
    const { organizationId } = context;
    const id = checkUuid(input.siteId, "input.siteId");
    const timeZone = checkZone(input.timeZone, "input.timeZone");
    if (input.windows.length > MAX_WINDOWS) {
      throw apiFault("api/bad-input", "too many windows", {
        field: "input.windows",
        value: `${input.windows.length} windows`,
        expected: `at most ${MAX_WINDOWS}`,
      });
    }
    const hours = input.windows.map((window, i) => checkHours(window, `input.windows[${i}]`));
    return this.changes.commit(context, async (tx) => {
      const before = await this.store.find(tx, organizationId, id);
      if (!before) {
        const expected = "the id of a site of the organization";
        throw apiFault("api/not-found", "there is no such site", { field: "input.siteId", value: id, expected });
      }
      const were = (await this.maintenance.ofSites(organizationId, [id], tx)).get(id) ?? [];
      const site = await this.store.setWindows(tx, before, timeZone, hours);
      await this.audit.record(tx, context, {
        action: "setMaintenanceWindows",
        target: { kind: "site", id },
        before: { timeZone: before.timeZone, windows: were.map(shownHours) },
        after: { timeZone, windows: hours.map(shownHours) },
      });
      return site;
    });
  }

  /** By site id. */
  windows({ organizationId }: TenantContext, ids: readonly string[]): Promise<ReadonlyMap<string, Window[]>> {
    return this.maintenance.ofSites(organizationId, ids);
  }

  async byIds(context: TenantContext, ids: readonly string[]): Promise<ReadonlyMap<string, Site>> {
    return new Map((await this.store.byIds(context.organizationId, ids)).map((s) => [s.id, s]));
  }

  /** Canonical prefixes by site id. */
  async subnets(context: TenantContext, siteIds: readonly string[]): Promise<ReadonlyMap<string, string[]>> {
    const found = new Map<string, string[]>();
    for (const { siteId, prefix } of await this.store.subnets(context.organizationId, siteIds)) {
      const list = found.get(siteId) ?? [];
      found.set(siteId, list);
      list.push(Prefix.parse(prefix).toString());
    }
    return found;
  }

  list(context: TenantContext, args: PageArgs): Promise<Connection<Site>> {
    return page(args, (request) => this.store.page(context.organizationId, request));
  }

  async #make(tx: Tx, context: TenantContext, action: string, input: NewSite): Promise<MadeSite> {
    const { organizationId } = context;
    const name = checkName(input.name, "input.name");
    const subnets = checkSubnets(input.subnets, "input.subnets").map(String);
    if (await this.store.nameTaken(tx, organizationId, name)) {
      throw apiFault("api/name-taken", "there is a site with this name", {
        field: "input.name",
        value: name,
        expected: "a name that no other site of the organization has",
      });
    }
    await this.planner.refuseOverlaps(tx, organizationId, subnets, "input.subnets");
    const site = await this.store.create(tx, organizationId, name, subnets);
    const gateway = await this.gateways.createIn(tx, context, site, input.gateway, "input.gateway");
    const enrolment = await this.enrolments.issue(tx, context, gateway.id);
    const after = { name, subnets, gatewayId: gateway.id, enrolmentExpiresAt: enrolment.expiresAt };
    await this.audit.record(tx, context, { action, target: { kind: "site", id: site.id }, after });
    await this.events.record(tx, organizationId, {
      kind: "site/described",
      severity: "INFO",
      message: `${name} was described; its gateway ${gateway.name} waits for enrolment`,
      siteId: site.id,
      gatewayId: gateway.id,
    });
    return { site, gateway, enrolment };
  }

  async #settle(tx: Tx, { organizationId }: TenantContext, site: Site): Promise<void> {
    const fields = [[/^(gateways|networks)\b/, "input.gateway.host"]] as const;
    await this.planner.settle(tx, organizationId, { ownerId: site.id, subnetsField: "input.subnets", fields });
    await this.intents.recompile(tx, organizationId);
  }
}
