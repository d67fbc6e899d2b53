import { Injectable } from "@nestjs/common";
import { IpAddress } from "@sallyport/base";
import { givenRanges, isGiven } from "@sallyport/intent";
import { Changes } from "../../platform/database/changes.js";
import { apiFault } from "../../platform/faults.js";
import { type Connection, type PageArgs, page } from "../../platform/graphql/connection.js";
import { checkUuid } from "../../platform/input.js";
import type { StaticLease } from "../../platform/prisma/generated/client.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { AuditService } from "../audit/audit.service.js";
import { IntentService } from "../intents/intent.service.js";
import { RoadWarriorService } from "../road-warriors/road-warrior.service.js";
import { AddressPoolService } from "./address-pool.service.js";
import { AddressPoolStore } from "./address-pool.store.js";
import { poolFault } from "./faults.js";

export interface NewLease {
  readonly poolId: string;
  readonly roadWarriorId: string;
  readonly address: string;
}

const facts = ({ poolId, roadWarriorId, address }: StaticLease) => ({ poolId, roadWarriorId, address });

/** Addresses of pools that are one person's. */
@Injectable()
export class StaticLeaseService {
  constructor(
    private readonly changes: Changes,
    private readonly store: AddressPoolStore,
    private readonly pools: AddressPoolService,
    private readonly people: RoadWarriorService,
    private readonly intents: IntentService,
    private readonly audit: AuditService,
  ) {}

  /**
   * Gives a person an address for himself; one of the same family that he had goes.
   * @throws pool/not-in-pool, pool/address-taken
   */
  assign(context: TenantContext, input: NewLease): Promise<StaticLease> {
    const { organizationId } = context;
    const wanted = IpAddress.parse(input.address, "input.address");
    const address = wanted.toString();
    return this.changes.commit(context, async (tx) => {
      const pool = await this.pools.getIn(tx, organizationId, input.poolId, "input.poolId");
      const person = await this.people.getIn(tx, organizationId, input.roadWarriorId, "input.roadWarriorId");
      if (!isGiven(givenRanges({ addresses: pool.addresses, except: pool.exclusions }), wanted)) {
        throw poolFault("pool/not-in-pool", `${pool.name} does not give ${address}`, {
          field: "input.address",
          value: address,
          expected: `an address of ${pool.addresses.join(", ")} that is neither excluded nor a network's own`,
        });
      }
      const taken = await this.store.leaseOfAddress(tx, organizationId, address);
      if (taken?.roadWarriorId === person.id) return taken;
      if (taken) {
        const expected = "an address that nobody has for himself";
        const detail = { field: "input.address", value: address, expected };
        throw poolFault("pool/address-taken", `${address} is somebody else's`, detail);
      }
      const own = await this.store.leasesIn(tx, { organizationId, roadWarriorId: person.id });
      const before = own.find((lease) => IpAddress.parse(lease.address).family === wanted.family);
      if (before) await this.store.removeLease(tx, organizationId, before.id);
      const data = { organizationId, poolId: pool.id, roadWarriorId: person.id, address };
      const lease = await this.store.lease(tx, data);
      await this.intents.recompile(tx, organizationId);
      const target = { kind: "roadWarrior", id: person.id };
      const change = { action: "assignAddress", target, after: facts(lease) };
      await this.audit.record(tx, context, { ...change, ...(before && { before: facts(before) }) });
      return lease;
    });
  }

  release(context: TenantContext, rawId: string): Promise<StaticLease> {
    const { organizationId } = context;
    const id = checkUuid(rawId, "id");
    return this.changes.commit(context, async (tx) => {
      const lease = await this.store.leaseById(tx, organizationId, id);
      if (!lease) {
        const expected = "the id of a static lease";
        throw apiFault("api/not-found", "there is no such static lease", { field: "id", value: id, expected });
      }
      await this.store.removeLease(tx, organizationId, id);
      await this.intents.recompile(tx, organizationId);
      const target = { kind: "roadWarrior", id: lease.roadWarriorId };
      await this.audit.record(tx, context, { action: "releaseAddress", target, before: facts(lease) });
      return lease;
    });
  }

  ofPool(context: TenantContext, poolId: string, args: PageArgs): Promise<Connection<StaticLease>> {
    return page(args, (request) => this.store.leasePage(context.organizationId, poolId, request));
  }

  /** By person's id. */
  async ofPeople(context: TenantContext, ids: readonly string[]): Promise<ReadonlyMap<string, StaticLease[]>> {
    return Map.groupBy(await this.store.leasesOfPeople(context.organizationId, ids), (l) => l.roadWarriorId);
  }
}
