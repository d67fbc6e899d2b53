import { Injectable } from "@nestjs/common";
import { IpAddress } from "@sallyport/base";
import { givenRanges, isGiven, parseRange, poolSize } from "@sallyport/intent";
import { Changes } from "../../platform/database/changes.js";
import type { Tx } from "../../platform/database/database.js";
import { apiFault } from "../../platform/faults.js";
import { type Connection, type PageArgs, page } from "../../platform/graphql/connection.js";
import { checkName, checkUuid } from "../../platform/input.js";
import type { AddressPool } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { AuditService } from "../audit/audit.service.js";
import { IntentService } from "../intents/intent.service.js";
import { Planner } from "../intents/planner.js";
import { AddressPoolStore } from "./address-pool.store.js";
import { type Addresses, checkAddresses } from "./addresses.js";
import { poolFault } from "./faults.js";

export interface NewPool extends Addresses {
  readonly name: string;
}

export interface PoolChanges {
  readonly id: string;
  readonly name?: string | null | undefined;
  readonly addresses?: string[] | null | undefined;
  readonly exclusions?: string[] | null | undefined;
}

const facts = ({ name, addresses, exclusions }: AddressPool) => ({ name, addresses, exclusions });
const rangesOf = ({ addresses, exclusions }: Addresses) => ({ addresses, except: exclusions });

@Injectable()
export class AddressPoolService {
  constructor(
    private readonly changes: Changes,
    private readonly store: AddressPoolStore,
    private readonly planner: Planner,
    private readonly intents: IntentService,
    private readonly audit: AuditService,
  ) {}

  create(context: TenantContext, input: NewPool): Promise<AddressPool> {
    const { organizationId } = context;
    const addresses = checkAddresses(input, "input");
    return this.changes.commit(context, async (tx) => {
      const name = await this.#freeName(tx, organizationId, input.name);
      const pool = await this.store.create(tx, organizationId, { name, ...addresses });
      await this.#settle(tx, organizationId, pool.id);
      const target = { kind: "addressPool", id: pool.id };
      await this.audit.record(tx, context, { action: "createAddressPool", target, after: facts(pool) });
      return pool;
    });
  }

  /** @throws pool/not-in-pool for addresses that somebody has for himself and that would go */
  update(context: TenantContext, input: PoolChanges): Promise<AddressPool> {
    const { organizationId } = context;
    return this.changes.commit(context, async (tx) => {
      const before = await this.getIn(tx, organizationId, input.id, "input.id");
      const renamed = input.name && input.name !== before.name;
      const name = renamed ? await this.#freeName(tx, organizationId, input.name ?? "") : before.name;
      const wanted = {
        addresses: input.addresses ?? before.addresses,
        exclusions: input.exclusions ?? before.exclusions,
      };
      const addresses = checkAddresses(wanted, "input");
      const ranges = givenRanges(rangesOf(addresses));
      const leases = await this.store.leasesIn(tx, { organizationId, poolId: before.id });
      const lost = leases.find((lease) => !isGiven(ranges, IpAddress.parse(lease.address)));
      if (lost) {
        throw poolFault("pool/not-in-pool", `${lost.address} is a person's own and would not be in the pool`, {
          field: "input.addresses",
          value: addresses.addresses.join(", "),
          expected: `ranges that hold ${lost.address}, or its release first`,
        });
      }
      const pool = await this.store.update(tx, organizationId, before.id, { name, ...addresses });
      await this.#settle(tx, organizationId, pool.id);
      const target = { kind: "addressPool", id: pool.id };
      const change = { action: "updateAddressPool", target, before: facts(before), after: facts(pool) };
      await this.audit.record(tx, context, change);
      return pool;
    });
  }

  /** @throws api/in-use while remote access gives its addresses or somebody has one for himself */
  remove(context: TenantContext, rawId: string): Promise<AddressPool> {
    const { organizationId } = context;
    return this.changes.commit(context, async (tx) => {
      const pool = await this.getIn(tx, organizationId, rawId, "id");
      const [lease] = await this.store.leasesIn(tx, { organizationId, poolId: pool.id });
      if (lease) {
        throw apiFault("api/in-use", `${lease.address} of ${pool.name} is a person's own`, {
          field: "id",
          value: pool.id,
          expected: "a pool of which nobody has an address for himself",
        });
      }
      const user = await this.store.userOf(tx, organizationId, pool.id);
      if (user !== undefined) {
        throw apiFault("api/in-use", `the remote access ${user} gives addresses of ${pool.name}`, {
          field: "id",
          value: pool.id,
          expected: "a pool that no remote access uses",
        });
      }
      await this.store.remove(tx, organizationId, pool.id);
      await this.#settle(tx, organizationId);
      const target = { kind: "addressPool", id: pool.id };
      await this.audit.record(tx, context, { action: "deleteAddressPool", target, before: facts(pool) });
      return pool;
    });
  }

  /** @throws api/not-found */
  async getIn(tx: Tx, organizationId: string, rawId: string, field: string): Promise<AddressPool> {
    const id = checkUuid(rawId, field);
    const pool = await this.store.byId(tx, organizationId, id);
    if (pool) return pool;
    const expected = "the id of an address pool";
    throw apiFault("api/not-found", "there is no such address pool", { field, value: id, expected });
  }

  async byIds(context: TenantContext, ids: readonly string[]): Promise<ReadonlyMap<string, AddressPool>> {
    return new Map((await this.store.byIds(context.organizationId, ids)).map((p) => [p.id, p]));
  }

  list(context: TenantContext, args: PageArgs): Promise<Connection<AddressPool>> {
    return page(args, (request) => this.store.page(context.organizationId, request));
  }

  /** Of its first range; the others have the same. */
  family({ addresses: [first = ""] }: AddressPool): number {
    return parseRange(first).first.family;
  }

  /** As text: IPv6 pools count beyond what a number holds. */
  size(pool: AddressPool): string {
    return poolSize(rangesOf(pool)).toString();
  }

  async #settle(tx: Tx, organizationId: string, ownerId?: string): Promise<void> {
    const entered = ownerId === undefined ? undefined : { ownerId, subnetsField: "input.addresses" };
    await this.planner.settle(tx, organizationId, entered);
    await this.intents.recompile(tx, organizationId);
  }

  async #freeName(tx: Tx, organizationId: string, raw: string): Promise<string> {
    const name = checkName(raw, "input.name");
    if (!(await this.store.nameTaken(tx, organizationId, name))) return name;
    throw apiFault("api/name-taken", "there is an address pool with this name", {
      field: "input.name",
      value: name,
      expected: "a name that no other address pool of the organization has",
    });
  }
}
