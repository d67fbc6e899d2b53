import { Injectable } from "@nestjs/common";
import { parseProposals } from "@sallyport/intent";
import { Changes } from "../../platform/database/changes.js";
import type { Tx } from "../../platform/database/database.js";
import { apiFault } from "../../platform/faults.js";
import { type Connection, type PageArgs, type PageRequest, page } from "../../platform/graphql/connection.js";
import { checkName, checkUuid } from "../../platform/input.js";
import type { Gateway, Network, NetworkMember } from "../../platform/prisma/generated/client.js";
import type { MemberRole, NetworkAuthentication } from "../../platform/prisma/generated/enums.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { AuditService } from "../audit/audit.service.js";
import { GatewayService } from "../gateways/gateway.service.js";
import { IntentService } from "../intents/intent.service.js";
import { Planner } from "../intents/planner.js";
import { NetworkStore, type Spoke } from "./network.store.js";

export interface NewNetwork {
  readonly name: string;
  readonly hubGatewayIds: readonly string[];
  readonly spokeGatewayIds: readonly string[];
  readonly authentication: NetworkAuthentication;
  readonly ikeProposals: readonly string[];
  readonly espProposals: readonly string[];
}

const MAX_HUBS = 8;

@Injectable()
export class NetworkService {
  constructor(
    private readonly changes: Changes,
    private readonly store: NetworkStore,
    private readonly gateways: GatewayService,
    private readonly planner: Planner,
    private readonly intents: IntentService,
    private readonly audit: AuditService,
  ) {}

  create(context: TenantContext, input: NewNetwork): Promise<Network> {
    const { organizationId } = context;
    const name = checkName(input.name, "input.name");
    const hubs = input.hubGatewayIds;
    if (hubs.length === 0 || hubs.length > MAX_HUBS) {
      throw apiFault("api/bad-input", "a hub and spoke network has a hub", {
        field: "input.hubGatewayIds",
        value: `${hubs.length} gateways`,
        expected: `1 to ${MAX_HUBS} gateways, the preferred one first`,
      });
    }
    const ikeProposals = checkProposals(input.ikeProposals, "ike", "input.ikeProposals");
    const espProposals = checkProposals(input.espProposals, "esp", "input.espProposals");
    return this.changes.commit(context, async (tx) => {
      if (await this.store.nameTaken(tx, organizationId, name)) {
        throw apiFault("api/name-taken", "there is a network with this name", {
          field: "input.name",
          value: name,
          expected: "a name that no other network of the organization has",
        });
      }
      const { authentication } = input;
      const columns = { organizationId, name, authentication, ikeProposals, espProposals };
      const network = await this.store.create(tx, columns);
      await this.#join(tx, organizationId, network.id, "HUB", hubs, "input.hubGatewayIds");
      await this.#join(tx, organizationId, network.id, "SPOKE", input.spokeGatewayIds, "input.spokeGatewayIds");
      const fields = [
        [/ikeProposals/i, "input.ikeProposals"],
        [/espProposals/i, "input.espProposals"],
        [/./, "input.hubGatewayIds"],
      ] as const;
      await this.planner.settle(tx, organizationId, { ownerId: network.id, fields });
      await this.intents.recompile(tx, organizationId);
      const after = { ...input, name };
      await this.audit.record(tx, context, {
        action: "createNetwork",
        target: { kind: "network", id: network.id },
        after,
      });
      return network;
    });
  }

  /** Joins a new site's gateway as a spoke, in the transaction of its making. The caller settles and recompiles. */
  async addSpoke(
    tx: Tx,
    { organizationId }: TenantContext,
    rawNetworkId: string,
    gateway: Gateway,
    field: string,
  ): Promise<Network> {
    const id = checkUuid(rawNetworkId, field);
    const network = await this.store.byId(tx, organizationId, id);
    if (!network) {
      throw apiFault("api/not-found", "there is no such network", {
        field,
        value: id,
        expected: "the id of a network",
      });
    }
    await this.store.addMember(tx, {
      organizationId,
      networkId: id,
      siteId: gateway.siteId,
      gatewayId: gateway.id,
      role: "SPOKE",
    });
    return network;
  }

  list(context: TenantContext, args: PageArgs): Promise<Connection<Network>> {
    return page(args, (request) => this.store.page(context.organizationId, request));
  }

  async byIds(context: TenantContext, ids: readonly string[]): Promise<ReadonlyMap<string, Network>> {
    return new Map((await this.store.byIds(context.organizationId, ids)).map((n) => [n.id, n]));
  }

  async hubs(context: TenantContext, networkIds: readonly string[]): Promise<ReadonlyMap<string, NetworkMember[]>> {
    return Map.groupBy(await this.store.hubs(context.organizationId, networkIds), (m) => m.networkId);
  }

  async spokes(
    context: TenantContext,
    networkIds: readonly string[],
    request: PageRequest,
  ): Promise<ReadonlyMap<string, Spoke[]>> {
    return Map.groupBy(await this.store.spokes(context.organizationId, networkIds, request), (m) => m.networkId);
  }

  async #join(
    tx: Tx,
    organizationId: string,
    networkId: string,
    role: MemberRole,
    ids: readonly string[],
    field: string,
  ) {
    for (const [i, id] of ids.entries()) {
      const gateway = await this.gateways.getIn(tx, organizationId, id, `${field}[${i}]`);
      const present = await tx.networkMember.count({ where: { organizationId, networkId, gatewayId: gateway.id } });
      if (present > 0) {
        throw apiFault("api/bad-input", `${gateway.name} is named twice`, {
          field: `${field}[${i}]`,
          value: gateway.id,
          expected: "each gateway once",
        });
      }
      const data = { organizationId, networkId, siteId: gateway.siteId, gatewayId: gateway.id, role, preference: i };
      await this.store.addMember(tx, data);
    }
  }
}

/** @throws intent/bad-proposal with the field of the caller's input */
export function checkProposals(texts: readonly string[], use: "ike" | "esp", field: string): string[] {
  if (texts.length > 0) parseProposals(texts, use, field);
  return [...texts];
}
