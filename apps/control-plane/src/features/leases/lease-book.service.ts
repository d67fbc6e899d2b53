import { Inject, Injectable } from "@nestjs/common";
import { IpAddress } from "@sallyport/base";
import { givenRanges, isGiven } from "@sallyport/intent";
import { Database, type Tx } from "../../platform/database/database.js";
import { LOG, type Log } from "../../platform/log/log.js";
import type { AddressPool } from "../../platform/prisma/generated/client.js";
import { TokenBucket } from "../../platform/token-bucket.js";
import { EventService } from "../events/event.service.js";
import { type HeldAddress, LeaseStore } from "./lease.store.js";

/** An IKE SA of a gateway, as it was reported and written. */
export interface HoldingSa {
  readonly ikeSaId: string;
  readonly remoteVirtual: readonly string[];
  readonly remoteIdentity: string;
  readonly user: string | undefined;
  readonly remoteEndpoint: string;
  readonly establishedAt: Date | undefined;
}

export interface GivingGateway {
  readonly organizationId: string;
  readonly gatewayId: string;
  readonly name: string;
}

const LIMITS = {
  /** Leases of one gateway that may begin at once and in the long run: of more, as many past ones are forgotten. */
  leases: 100_000,
  leasesPerSecond: 20,
  /** Clashes of one gateway that become events. */
  clashes: 20,
  clashesPerSecond: 1 / 60,
} as const;

const bucketIn = (buckets: Map<string, TokenBucket>, gatewayId: string, burst: number, perSecond: number) => {
  const bucket = buckets.get(gatewayId) ?? new TokenBucket(burst, perSecond, performance.now());
  buckets.set(gatewayId, bucket);
  return bucket;
};

/** Keeps the record of who held which address, by the IKE SAs that gateways report. What ends a lease is the end of its IKE SAs. */
@Injectable()
export class LeaseBook {
  readonly #begun = new Map<string, TokenBucket>();
  readonly #clashed = new Map<string, TokenBucket>();

  constructor(
    private readonly database: Database,
    private readonly store: LeaseStore,
    private readonly events: EventService,
    @Inject(LOG) private readonly log: Log,
  ) {}

  /** Writes down what these IKE SAs hold. Gives the addresses whose leases began with that. */
  async write(tx: Tx, gateway: GivingGateway, sas: readonly HoldingSa[]): Promise<string[]> {
    if (sas.length === 0) return [];
    const { organizationId, gatewayId } = gateway;
    const held = await this.#held(tx, organizationId, sas);
    const once = new Map(held.map((lease) => [keyOf(lease), lease]));
    const written = once.size > 0 ? await this.store.write(tx, organizationId, gatewayId, [...once.values()]) : [];
    const ids = new Map(written.map((lease) => [keyOf(lease), lease.id]));
    const holders = held.map((lease) => ({ leaseId: ids.get(keyOf(lease)) as string, ikeSaId: lease.ikeSaId }));
    await this.store.hold(
      tx,
      organizationId,
      sas.map((sa) => sa.ikeSaId),
      holders,
    );
    const fresh = written.filter((lease) => lease.fresh).map((lease) => lease.address);
    const bucket = bucketIn(this.#begun, gatewayId, LIMITS.leases, LIMITS.leasesPerSecond);
    const over = fresh.length - bucket.takeUpTo(fresh.length, performance.now());
    if (over > 0) await this.store.forgetOldest(tx, organizationId, gatewayId, over);
    return fresh;
  }

  /**
   * Tells of addresses that two gateways have given at the same time. To be called after leases that began were committed: of two
   * gateways that write at the same moment, at least the later one sees the other's.
   */
  async tellClashes({ organizationId, gatewayId, name }: GivingGateway, addresses: readonly string[]): Promise<void> {
    if (addresses.length === 0) return;
    const clashes = await this.store.clashes(organizationId, gatewayId, addresses);
    const bucket = bucketIn(this.#clashed, gatewayId, LIMITS.clashes, LIMITS.clashesPerSecond);
    const told = clashes.slice(0, bucket.takeUpTo(clashes.length, performance.now()));
    if (told.length < clashes.length) this.log.warn({ gatewayId, clashes: clashes.length }, "not all clashes are told");
    if (told.length === 0) return;
    await this.database.transaction((tx) =>
      this.events.record(
        tx,
        organizationId,
        ...told.map(({ address, identity, otherGateway, otherIdentity }) => ({
          kind: "lease/clash",
          severity: "ERROR" as const,
          message: `${address} is held by two at once: ${identity} at ${name} and ${otherIdentity} at ${otherGateway}`,
          facts: { address, identity, gateway: name, otherIdentity, otherGateway },
          gatewayId,
        })),
      ),
    );
  }

  async #held(tx: Tx, organizationId: string, sas: readonly HoldingSa[]): Promise<HeldAddress[]> {
    const holding = sas.filter((sa) => sa.remoteVirtual.length > 0);
    if (holding.length === 0) return [];
    const pools = givenBy(await this.store.pools(tx, organizationId));
    const usernames = new Set(holding.map((sa) => identityOf(sa).toLowerCase()));
    const people = await this.store.people(tx, organizationId, [...usernames]);
    const now = new Date();
    return holding.flatMap((sa) => {
      const identity = identityOf(sa);
      const beganAt = sa.establishedAt !== undefined && sa.establishedAt < now ? sa.establishedAt : now;
      const { ikeSaId, remoteEndpoint: outerEndpoint } = sa;
      const roadWarriorId = people.get(identity.toLowerCase());
      const of = { identity, roadWarriorId, outerEndpoint, beganAt, ikeSaId };
      return sa.remoteVirtual.map((address) => ({ address, poolId: pools(address), ...of }));
    });
  }
}

const keyOf = ({ address, identity }: { readonly address: string; readonly identity: string }) =>
  `${address} ${identity}`;

const identityOf = ({ user, remoteIdentity }: HoldingSa) => user ?? remoteIdentity;

/** The id of the pool that gives an address. */
function givenBy(pools: readonly AddressPool[]): (address: string) => string | undefined {
  const all = pools.map(({ id, addresses, exclusions }) => ({
    id,
    ranges: givenRanges({ addresses, except: exclusions }),
  }));
  return (text) => {
    const address = IpAddress.parse(text);
    return all.find((pool) => isGiven(pool.ranges, address))?.id;
  };
}
