import { Inject, Injectable } from "@nestjs/common";
import { gatewayFqdn } from "@sallyport/intent";
import { WakeUpBus } from "../../platform/bus/bus.js";
import { Changes } from "../../platform/database/changes.js";
import type { Tx } from "../../platform/database/database.js";
import { apiFault } from "../../platform/faults.js";
import { type Connection, type PageArgs, page } from "../../platform/graphql/connection.js";
import { checkHost, checkName, checkPort, checkUuid, labelOf } from "../../platform/input.js";
import { LOG, type Log } from "../../platform/log/log.js";
import type { Gateway } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { AuditService } from "../audit/audit.service.js";
import { CertificateService } from "../certificates/certificate.service.js";
import { EventService } from "../events/event.service.js";
import { IntentService } from "../intents/intent.service.js";
import { Planner } from "../intents/planner.js";
import { type GatewayFilter, GatewayStore } from "./gateway.store.js";

export interface NewGateway {
  /** Absent: the site's name. */
  readonly name?: string | null | undefined;
  /** Absent: behind a NAT, or without a fixed address. */
  readonly host?: string | null | undefined;
  readonly ikePort: number;
  readonly nattPort: number;
}

export interface GatewayChanges {
  readonly id: string;
  readonly name?: string | null | undefined;
  /** Null: no longer reachable from outside. */
  readonly host?: string | null | undefined;
  readonly ikePort?: number | null | undefined;
  readonly nattPort?: number | null | undefined;
}

const facts = ({ name, host, ikePort, nattPort }: Gateway) => ({ name, host, ikePort, nattPort });

@Injectable()
export class GatewayService {
  constructor(
    private readonly changes: Changes,
    private readonly store: GatewayStore,
    private readonly planner: Planner,
    private readonly intents: IntentService,
    private readonly certificates: CertificateService,
    private readonly events: EventService,
    private readonly audit: AuditService,
    private readonly bus: WakeUpBus,
    @Inject(LOG) private readonly log: Log,
  ) {}

  /** In the transaction of the site's making. `field` is where the gateway stands in the caller's input. */
  async createIn(
    tx: Tx,
    context: TenantContext,
    site: { readonly id: string; readonly name: string },
    input: NewGateway,
    field: string,
  ): Promise<Gateway> {
    const { organizationId } = context;
    const name = await this.#freeName(
      tx,
      organizationId,
      input.name ?? site.name,
      input.name ? `${field}.name` : "name",
    );
    const host = input.host ? checkHost(input.host, `${field}.host`) : null;
    const [ikePort, nattPort] = checkPorts(input, field);
    const organization = await tx.organization.findUniqueOrThrow({ where: { id: organizationId } });
    const identity = await this.#freeIdentity(tx, organization.slug, labelOf(name, `${field}.name`));
    const data = { organizationId, siteId: site.id, name, identity, host, ikePort, nattPort };
    const gateway = await this.store.create(tx, data);
    const after = { ...facts(gateway), identity, siteId: site.id };
    await this.audit.record(tx, context, {
      action: "createGateway",
      target: { kind: "gateway", id: gateway.id },
      after,
    });
    return gateway;
  }

  update(context: TenantContext, input: GatewayChanges): Promise<Gateway> {
    const { organizationId } = context;
    return this.changes.commit(context, async (tx) => {
      const before = await this.getIn(tx, organizationId, input.id, "input.id");
      const renamed = input.name && input.name !== before.name;
      const name = renamed ? await this.#freeName(tx, organizationId, input.name ?? "", "input.name") : before.name;
      const host =
        input.host === undefined ? before.host : input.host === null ? null : checkHost(input.host, "input.host");
      const [ikePort, nattPort] = checkPorts(
        { ikePort: input.ikePort ?? before.ikePort, nattPort: input.nattPort ?? before.nattPort },
        "input",
      );
      const gateway = await this.store.update(tx, organizationId, before.id, { name, host, ikePort, nattPort });
      await this.planner.settle(tx, organizationId, { ownerId: gateway.id, fields: [[/./, "input.host"]] });
      await this.intents.recompile(tx, organizationId);
      await this.audit.record(tx, context, {
        action: "updateGateway",
        target: { kind: "gateway", id: gateway.id },
        before: facts(before),
        after: facts(gateway),
      });
      return gateway;
    });
  }

  /**
   * Takes a gateway out of the fleet for good: its networks lose it, its certificates are worthless and its agent's stream ends.
   * @throws api/in-use while external peers hang on it, or spokes on it alone
   */
  async retire(context: TenantContext, rawId: string): Promise<Gateway> {
    const { organizationId } = context;
    const retired = await this.changes.commit(context, async (tx) => {
      const before = await this.getIn(tx, organizationId, rawId, "id");
      const dependent = await this.store.dependentOn(tx, organizationId, before.id);
      if (dependent !== undefined) {
        throw apiFault("api/in-use", `${before.name} is what ${dependent} hangs on`, {
          field: "id",
          value: before.id,
          expected: "a gateway that no external peer needs, and that is no network's only hub",
        });
      }
      const gateway = await this.store.retire(tx, organizationId, before.id);
      await this.certificates.revokeAll(tx, organizationId, before.id);
      await this.planner.settle(tx, organizationId);
      await this.intents.recompile(tx, organizationId);
      await this.audit.record(tx, context, {
        action: "retireGateway",
        target: { kind: "gateway", id: gateway.id },
        before: { ...facts(before), state: before.state },
        after: { state: gateway.state },
      });
      await this.events.record(tx, organizationId, {
        kind: "gateway/retired",
        severity: "INFO",
        message: `${gateway.name} was retired: its certificates are revoked`,
        siteId: gateway.siteId,
        gatewayId: gateway.id,
      });
      return gateway;
    });
    // A replica that misses it finds the same when it next looks at its streams.
    await this.bus
      .publish("revoked", { gatewayId: retired.id })
      .catch((err: unknown) => this.log.warn({ err, gatewayId: retired.id }, "the gateway's stream was not ended yet"));
    return retired;
  }

  /** @throws api/not-found, also for a gateway that is retired */
  async getIn(tx: Tx, organizationId: string, rawId: string, field: string): Promise<Gateway> {
    const id = checkUuid(rawId, field);
    const gateway = await this.store.byId(tx, organizationId, id);
    if (gateway && gateway.state !== "RETIRED") return gateway;
    throw apiFault("api/not-found", "there is no such gateway", { field, value: id, expected: "the id of a gateway" });
  }

  async byIds(context: TenantContext, ids: readonly string[]): Promise<ReadonlyMap<string, Gateway>> {
    return new Map((await this.store.byIds(context.organizationId, ids)).map((g) => [g.id, g]));
  }

  async ofSites(context: TenantContext, siteIds: readonly string[]): Promise<ReadonlyMap<string, Gateway[]>> {
    return Map.groupBy(await this.store.ofSites(context.organizationId, siteIds), (g) => g.siteId);
  }

  list(context: TenantContext, args: PageArgs, filter: GatewayFilter): Promise<Connection<Gateway>> {
    return page(args, (request) => this.store.page(context.organizationId, request, filter));
  }

  async #freeName(tx: Tx, organizationId: string, raw: string, field: string): Promise<string> {
    const name = checkName(raw, field);
    if (!(await this.store.nameTaken(tx, organizationId, name))) return name;
    throw apiFault("api/name-taken", "there is a gateway with this name", {
      field,
      value: name,
      expected: "a name that no other gateway of the organization has",
    });
  }

  /** Names that differ only in what a DNS label cannot say get a number. */
  async #freeIdentity(tx: Tx, slug: string, label: string): Promise<string> {
    for (let n = 1; ; n++) {
      const identity = gatewayFqdn(slug, n === 1 ? label : `${label}-${n}`);
      if (!(await this.store.identityTaken(tx, identity))) return identity;
    }
  }
}

function checkPorts({ ikePort, nattPort }: { ikePort: number; nattPort: number }, field: string): [number, number] {
  const ports: [number, number] = [checkPort(ikePort, `${field}.ikePort`), checkPort(nattPort, `${field}.nattPort`)];
  if (ports[0] !== ports[1]) return ports;
  throw apiFault("api/bad-input", "one port cannot do for both", {
    field: `${field}.nattPort`,
    value: String(nattPort),
    expected: "another port than ikePort's",
  });
}
