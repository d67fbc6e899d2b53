import { Injectable } from "@nestjs/common";
import { Changes } from "../../platform/database/changes.js";
import type { Tx } from "../../platform/database/database.js";
import { apiFault } from "../../platform/faults.js";
import { type Connection, type PageArgs, page } from "../../platform/graphql/connection.js";
import { checkName, checkUuid } from "../../platform/input.js";
import type {
  RemoteAccess,
  RemoteAccessGateway,
  RemoteAccessPool,
  RemoteAccessRule,
} from "../../platform/prisma/generated/client.js";
import type { RemoteAccessMethod } from "../../platform/prisma/generated/enums.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { AddressPoolService } from "../address-pools/address-pool.service.js";
import { AuditService } from "../audit/audit.service.js";
import { GatewayService } from "../gateways/gateway.service.js";
import { IntentService } from "../intents/intent.service.js";
import { Planner } from "../intents/planner.js";
import { checkProposals } from "../networks/network.service.js";
import { GroupService } from "../road-warriors/group.service.js";
import { RoadWarriorService } from "../road-warriors/road-warrior.service.js";
import { remoteAccessFault } from "./faults.js";
import { RemoteAccessStore } from "./remote-access.store.js";
import { checkDomains, checkNetworks, checkRule, checkServers, type Told } from "./settings.js";

export type GroupRule = { readonly groupId: string } & Told;
export type PersonRule = { readonly roadWarriorId: string } & Told;

export interface NewRemoteAccess {
  readonly name: string;
  readonly gatewayIds: readonly string[];
  readonly shares?: number | null | undefined;
  readonly poolIds: readonly string[];
  readonly methods: readonly RemoteAccessMethod[];
  readonly networks: readonly string[];
  readonly dns: readonly string[];
  readonly splitDns: readonly string[];
  readonly groups: readonly GroupRule[];
  readonly people: readonly PersonRule[];
  readonly ikeProposals: readonly string[];
  readonly espProposals: readonly string[];
  readonly authorityIds: readonly string[];
  readonly strictRevocation: boolean;
}

type Changeable = Omit<NewRemoteAccess, "gatewayIds" | "shares">;
export type RemoteAccessChanges = { readonly id: string } & {
  readonly [K in keyof Changeable]?: Changeable[K] | null | undefined;
};

const MAX_SHARES = 64;
const MAX_POOLS = 16;
const MAX_ROOTS = 16;
const MAX_GROUPS = 64;
const MAX_PEOPLE = 1_000;

/** Where compile's faults about a service point to in the input. */
const FIELDS = [
  [/poolIds/, "input.poolIds"],
  [/^remoteAccess.*networks/, "input.networks"],
  [/^remoteAccess.*gateways/, "input.gatewayIds"],
] as const;

const facts = ({ name, methods, shares, networks, dns, splitDns, ...more }: RemoteAccess) => {
  const { ikeProposals, espProposals, authorityIds, strictRevocation } = more;
  const parts = { name, methods, shares, networks, dns, splitDns };
  return { ...parts, ikeProposals, espProposals, authorityIds, strictRevocation };
};

@Injectable()
export class RemoteAccessService {
  constructor(
    private readonly changes: Changes,
    private readonly store: RemoteAccessStore,
    private readonly gatewayService: GatewayService,
    private readonly poolService: AddressPoolService,
    private readonly groups: GroupService,
    private readonly people: RoadWarriorService,
    private readonly planner: Planner,
    private readonly intents: IntentService,
    private readonly audit: AuditService,
  ) {}

  create(context: TenantContext, input: NewRemoteAccess): Promise<RemoteAccess> {
    const { organizationId } = context;
    const shares = checkShares(input.shares ?? powerOfTwo(input.gatewayIds.length), input.gatewayIds.length);
    const columns = checkColumns(input);
    return this.changes.commit(context, async (tx) => {
      const name = await this.#freeName(tx, organizationId, input.name);
      const trust = await this.#checkTrust(tx, organizationId, input);
      const service = await this.store.create(tx, { organizationId, shares, ...columns, ...trust, name });
      for (const [i, id] of input.gatewayIds.entries()) {
        await this.#addGateway(tx, organizationId, service, id, `input.gatewayIds[${i}]`);
      }
      await this.#setParts(tx, organizationId, service.id, input);
      await this.#settle(tx, organizationId, service.id);
      const after = { ...input, ...facts(service) };
      await this.audit.record(tx, context, { action: "createRemoteAccess", target: target(service), after });
      return service;
    });
  }

  /** Gateways are added and withdrawn one by one, and shares stay: pools of gateways that are away must not meet. */
  update(context: TenantContext, input: RemoteAccessChanges): Promise<RemoteAccess> {
    const { organizationId } = context;
    return this.changes.commit(context, async (tx) => {
      const before = await this.#getIn(tx, organizationId, input.id, "input.id");
      const name =
        input.name && input.name !== before.name ? await this.#freeName(tx, organizationId, input.name) : before.name;
      const columns = checkColumns({
        methods: input.methods ?? before.methods,
        networks: input.networks ?? before.networks,
        dns: input.dns ?? before.dns,
        splitDns: input.splitDns ?? before.splitDns,
        ikeProposals: input.ikeProposals ?? before.ikeProposals,
        espProposals: input.espProposals ?? before.espProposals,
      });
      const trust = await this.#checkTrust(tx, organizationId, {
        authorityIds: input.authorityIds ?? before.authorityIds,
        strictRevocation: input.strictRevocation ?? before.strictRevocation,
      });
      const service = await this.store.update(tx, organizationId, before.id, { ...columns, ...trust, name });
      await this.#setParts(tx, organizationId, service.id, input);
      await this.#settle(tx, organizationId, service.id);
      const after = { ...input, ...facts(service) };
      const change = { action: "updateRemoteAccess", target: target(service), before: facts(before), after };
      await this.audit.record(tx, context, change);
      return service;
    });
  }

  remove(context: TenantContext, rawId: string): Promise<RemoteAccess> {
    const { organizationId } = context;
    return this.changes.commit(context, async (tx) => {
      const service = await this.#getIn(tx, organizationId, rawId, "id");
      await this.store.remove(tx, organizationId, service.id);
      await this.#settle(tx, organizationId);
      const change = { action: "deleteRemoteAccess", target: target(service), before: facts(service) };
      await this.audit.record(tx, context, change);
      return service;
    });
  }

  /** @throws remote-access/gateway-taken, remote-access/no-share-left, intent/unreachable */
  addGateway(context: TenantContext, rawId: string, gatewayId: string): Promise<RemoteAccess> {
    const { organizationId } = context;
    return this.changes.commit(context, async (tx) => {
      const service = await this.#getIn(tx, organizationId, rawId, "id");
      await this.#addGateway(tx, organizationId, service, gatewayId, "gatewayId");
      await this.#settle(tx, organizationId, service.id, [[/./, "gatewayId"]]);
      const change = { action: "addRemoteAccessGateway", target: target(service), after: { gatewayId } };
      await this.audit.record(tx, context, change);
      return service;
    });
  }

  /** The gateway's share of the pools stays its own, since it may be away and serve on. */
  withdrawGateway(context: TenantContext, rawId: string, rawGatewayId: string): Promise<RemoteAccess> {
    const { organizationId } = context;
    const gatewayId = checkUuid(rawGatewayId, "gatewayId");
    return this.changes.commit(context, async (tx) => {
      const service = await this.#getIn(tx, organizationId, rawId, "id");
      const place = await this.store.placeOf(tx, organizationId, gatewayId);
      if (place?.remoteAccessId !== service.id || place.withdrawnAt !== null) {
        const expected = "the id of a gateway that serves it";
        throw apiFault("api/not-found", "this gateway does not serve it", {
          field: "gatewayId",
          value: gatewayId,
          expected,
        });
      }
      await this.store.withdraw(tx, organizationId, place.id, new Date());
      await this.#settle(tx, organizationId);
      const change = { action: "withdrawRemoteAccessGateway", target: target(service), before: { gatewayId } };
      await this.audit.record(tx, context, change);
      return service;
    });
  }

  list(context: TenantContext, args: PageArgs): Promise<Connection<RemoteAccess>> {
    return page(args, (request) => this.store.page(context.organizationId, request));
  }

  async gateways(context: TenantContext, ids: readonly string[]): Promise<ReadonlyMap<string, RemoteAccessGateway[]>> {
    return Map.groupBy(await this.store.gateways(context.organizationId, ids), (g) => g.remoteAccessId);
  }

  async pools(context: TenantContext, ids: readonly string[]): Promise<ReadonlyMap<string, RemoteAccessPool[]>> {
    return Map.groupBy(await this.store.pools(context.organizationId, ids), (p) => p.remoteAccessId);
  }

  async rules(context: TenantContext, ids: readonly string[]): Promise<ReadonlyMap<string, RemoteAccessRule[]>> {
    return Map.groupBy(await this.store.rules(context.organizationId, ids), (r) => r.remoteAccessId);
  }

  /** Whom gateways trust of each other is no matter of one service: what is strict is so for all that leads to an anchor. */
  async #checkTrust(tx: Tx, organizationId: string, input: Pick<NewRemoteAccess, "authorityIds" | "strictRevocation">) {
    const { strictRevocation } = input;
    const at = "input.authorityIds";
    checkCount(input.authorityIds, 0, MAX_ROOTS, at, "roots");
    const purposes = new Set<string>(input.authorityIds.length === 0 ? ["GATEWAY_IDENTITY"] : []);
    const authorityIds: string[] = [];
    for (const [i, raw] of input.authorityIds.entries()) {
      const field = `${at}[${i}]`;
      const root = await this.store.root(tx, organizationId, checkUuid(raw, field));
      if (!root) {
        const expected = "the id of a root of the organization";
        throw apiFault("api/not-found", "there is no such root", { field, value: raw, expected });
      }
      purposes.add(root.purpose);
      authorityIds.push(root.id);
    }
    if (strictRevocation && purposes.has("GATEWAY_IDENTITY")) {
      throw apiFault("api/bad-input", "the root of the gateways cannot be strict for people alone", {
        field: "input.strictRevocation",
        value: "true",
        expected: "false, or roots in authorityIds that are not the gateways'",
      });
    }
    return { authorityIds: [...new Set(authorityIds)], strictRevocation };
  }

  async #addGateway(tx: Tx, organizationId: string, service: RemoteAccess, rawId: string, field: string) {
    const gateway = await this.gatewayService.getIn(tx, organizationId, rawId, field);
    const place = await this.store.placeOf(tx, organizationId, gateway.id);
    if (place?.remoteAccessId === service.id && place.withdrawnAt !== null) {
      await this.store.withdraw(tx, organizationId, place.id, null);
      return;
    }
    const at = { field, value: gateway.id };
    if (place) {
      const expected = "a gateway that serves no other remote access and never did";
      throw remoteAccessFault("remote-access/gateway-taken", `${gateway.name} serves remote access already`, {
        ...at,
        expected,
      });
    }
    const taken = await this.store.sharesTaken(tx, organizationId, service.id);
    const share = Array.from({ length: service.shares }, (_, i) => i).find((i) => !taken.includes(i));
    if (share === undefined) {
      const message = `all ${service.shares} shares of the pools have their gateways`;
      const expected = "another service with pools of its own, made with more shares";
      throw remoteAccessFault("remote-access/no-share-left", message, { ...at, expected });
    }
    const data = { organizationId, remoteAccessId: service.id, gatewayId: gateway.id, share };
    await this.store.addGateway(tx, data);
  }

  async #setParts(
    tx: Tx,
    organizationId: string,
    id: string,
    { poolIds, groups, people }: Pick<RemoteAccessChanges, "poolIds" | "groups" | "people">,
  ): Promise<void> {
    if (poolIds) {
      checkCount(poolIds, 1, MAX_POOLS, "input.poolIds", "pools");
      const own: string[] = [];
      for (const [i, raw] of poolIds.entries()) {
        const field = `input.poolIds[${i}]`;
        const pool = await this.poolService.getIn(tx, organizationId, raw, field);
        const owner = await this.store.serviceOfPool(tx, organizationId, pool.id);
        if ((owner !== undefined && owner !== id) || own.includes(pool.id)) {
          const detail = { field, value: pool.id, expected: "a pool that no other service has, once" };
          throw remoteAccessFault("remote-access/pool-taken", `${pool.name} is taken`, detail);
        }
        own.push(pool.id);
      }
      await this.store.setPools(tx, organizationId, id, own);
    }
    if (groups) {
      checkCount(groups, 0, MAX_GROUPS, "input.groups", "groups");
      const rules = [];
      for (const [preference, { groupId, ...told }] of groups.entries()) {
        const field = `input.groups[${preference}]`;
        const group = await this.groups.getIn(tx, organizationId, groupId, `${field}.groupId`);
        rules.push({ groupId: group.id, preference, ...checkRule(told, field) });
      }
      checkOnce(
        rules.map((r) => r.groupId),
        "input.groups",
        "groupId",
      );
      await this.store.setRules(tx, organizationId, id, "group", rules);
    }
    if (people) {
      checkCount(people, 0, MAX_PEOPLE, "input.people", "people");
      const rules = [];
      for (const [i, { roadWarriorId, ...told }] of people.entries()) {
        const field = `input.people[${i}]`;
        const person = await this.people.getIn(tx, organizationId, roadWarriorId, `${field}.roadWarriorId`);
        rules.push({ roadWarriorId: person.id, ...checkRule(told, field) });
      }
      checkOnce(
        rules.map((r) => r.roadWarriorId),
        "input.people",
        "roadWarriorId",
      );
      await this.store.setRules(tx, organizationId, id, "person", rules);
    }
  }

  async #settle(
    tx: Tx,
    organizationId: string,
    ownerId?: string,
    fields: readonly (readonly [RegExp, string])[] = FIELDS,
  ): Promise<void> {
    await this.planner.settle(tx, organizationId, ownerId === undefined ? undefined : { ownerId, fields });
    await this.intents.recompile(tx, organizationId);
  }

  async #getIn(tx: Tx, organizationId: string, rawId: string, field: string): Promise<RemoteAccess> {
    const id = checkUuid(rawId, field);
    const service = await this.store.byId(tx, organizationId, id);
    if (service) return service;
    const expected = "the id of a remote access";
    throw apiFault("api/not-found", "there is no such remote access", { field, value: id, expected });
  }

  async #freeName(tx: Tx, organizationId: string, raw: string): Promise<string> {
    const name = checkName(raw, "input.name");
    if (!(await this.store.nameTaken(tx, organizationId, name))) return name;
    throw apiFault("api/name-taken", "there is a remote access with this name", {
      field: "input.name",
      value: name,
      expected: "a name that no other remote access of the organization has",
    });
  }
}

const target = ({ id }: RemoteAccess) => ({ kind: "remoteAccess", id });

function powerOfTwo(least: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(least, 1)));
}

function checkShares(shares: number, gateways: number): number {
  if (Number.isInteger(shares) && shares >= Math.max(gateways, 1) && shares <= MAX_SHARES) return shares;
  const expected = `as many shares as there will ever be gateways, at most ${MAX_SHARES}`;
  const detail = { field: "input.shares", value: String(shares), expected };
  throw apiFault("api/bad-input", `${gateways} gateways and ${shares} shares`, detail);
}

type Columns = Pick<RemoteAccess, "methods" | "networks" | "dns" | "splitDns" | "ikeProposals" | "espProposals">;

function checkColumns(input: { readonly [K in keyof Columns]: Readonly<Columns[K]> }): Columns {
  checkCount(input.methods, 1, 4, "input.methods", "methods");
  return {
    methods: [...new Set(input.methods)],
    networks: checkNetworks(input.networks, "input.networks"),
    dns: checkServers(input.dns, "input.dns"),
    splitDns: checkDomains(input.splitDns, "input.splitDns"),
    ikeProposals: checkProposals(input.ikeProposals, "ike", "input.ikeProposals"),
    espProposals: checkProposals(input.espProposals, "esp", "input.espProposals"),
  };
}

function checkCount(list: readonly unknown[], min: number, max: number, field: string, what: string): void {
  if (list.length >= min && list.length <= max) return;
  const expected = `${min} to ${max} ${what}`;
  throw apiFault("api/bad-input", `${field}: expected ${expected}`, {
    field,
    value: `${list.length} ${what}`,
    expected,
  });
}

function checkOnce(ids: readonly string[], field: string, key: string): void {
  const i = ids.findIndex((id, k) => ids.indexOf(id) < k);
  if (i < 0) return;
  const at = `${field}[${i}].${key}`;
  throw apiFault("api/bad-input", `${at}: named twice`, { field: at, value: ids[i] ?? "", expected: "each once" });
}
