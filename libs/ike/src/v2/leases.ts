import type { IpAddress } from "@sallyport/base";
import type { AddressPool } from "../config.js";
import type { PoolStatus } from "../status.js";
import { Pool } from "./pool.js";

/** Addresses of identities that are gone, so that they find theirs again. */
const MAX_REMEMBERED = 16_384;

interface Lease {
  readonly address: IpAddress;
  identity: string;
  /** Serials of the IKE SAs that use it: more than one while one takes another's place. */
  readonly holders: Set<number>;
}

/** Who holds addresses: an IKE SA or nobody. */
export interface Holder {
  readonly identity: string;
  readonly addresses: readonly IpAddress[];
}

const NOBODY: Holder = { identity: "", addresses: [] };

/**
 * Which address of the pools belongs to whom. It follows from the IKE SAs – `moved` is called when one of them changes – so a
 * step that comes to nothing leaves no lease behind.
 */
export class Leases {
  #pools = new Map<string, Pool>();
  /** By the text of the address. */
  readonly #leases = new Map<string, Lease>();
  readonly #ofIdentity = new Map<string, Set<Lease>>();
  /** By family and identity, the longest unused first. */
  readonly #remembered = new Map<string, IpAddress>();
  /** Texts of addresses that belong to users and are given to nobody else. */
  #reserved: ReadonlySet<string> = new Set();

  /** Other pools or reservations; leases outside of them go on as long as their holders. */
  configure(pools: readonly AddressPool[], reserved: readonly IpAddress[]): void {
    this.#reserved = new Set(reserved.map(String));
    this.#pools = new Map(pools.map((config) => [config.id, new Pool(config)]));
    for (const pool of this.#pools.values()) {
      for (const address of reserved) pool.take(address);
      for (const { address } of this.#leases.values()) pool.take(address);
    }
  }

  get size(): number {
    return this.#leases.size;
  }

  /**
   * An address for `identity`, undefined when there is none left. In this order: `fixed`; `wanted`, what the peer asks for by name;
   * with `again` what the identity holds now; what it held last; one that is always the same for it while that is free.
   */
  choose(about: {
    readonly family: 4 | 6;
    readonly identity: string;
    readonly pools: readonly string[];
    readonly fixed: IpAddress | undefined;
    readonly wanted: IpAddress | undefined;
    readonly again: boolean;
  }): IpAddress | undefined {
    const { family, identity, fixed, wanted } = about;
    if (fixed && this.#isHis(fixed, identity)) return fixed;
    const pools = about.pools.flatMap((id) => this.#pools.get(id) ?? []).filter((p) => p.family === family);
    const has = (address: IpAddress) => pools.some((p) => p.has(address));
    if (wanted && has(wanted) && this.#isToHave(wanted, identity)) return wanted;
    if (about.again) {
      for (const { address } of this.#ofIdentity.get(identity) ?? []) {
        if (has(address) && !this.#reserved.has(address.toString())) return address;
      }
    }
    const last = this.#remembered.get(`${family} ${identity}`);
    if (last && pools.some((p) => p.isFree(last))) return last;
    for (const pool of pools) {
      const address = pool.freeFor(identity);
      if (address) return address;
    }
    return undefined;
  }

  /** Whether one of these pools has the address, free or not. */
  isIn(address: IpAddress, pools: readonly string[]): boolean {
    return pools.some((id) => this.#pools.get(id)?.has(address));
  }

  #isHis(address: IpAddress, identity: string): boolean {
    const lease = this.#leases.get(address.toString());
    return lease === undefined || lease.identity === identity;
  }

  #isToHave(address: IpAddress, identity: string): boolean {
    return !this.#reserved.has(address.toString()) && this.#isHis(address, identity);
  }

  /** The IKE SA `serial` has come to hold other addresses; those that nobody holds any more are free. */
  moved(serial: number, before: Holder = NOBODY, after: Holder = NOBODY): void {
    for (const address of after.addresses) this.#take(serial, address, after.identity);
    for (const address of before.addresses) {
      if (!after.addresses.some((a) => a.equals(address))) this.#release(serial, address);
    }
  }

  #take(serial: number, address: IpAddress, identity: string): void {
    const text = address.toString();
    const known = this.#leases.get(text);
    if (known) {
      known.holders.add(serial);
      if (known.holders.size === 1) this.#rename(known, identity);
      return;
    }
    const lease: Lease = { address, identity, holders: new Set([serial]) };
    this.#leases.set(text, lease);
    this.#list(lease);
    for (const pool of this.#pools.values()) pool.take(address);
  }

  /** Its only holder goes by another name. */
  #rename(lease: Lease, identity: string): void {
    if (lease.identity === identity) return;
    this.#unlist(lease);
    lease.identity = identity;
    this.#list(lease);
  }

  #list(lease: Lease): void {
    const own = this.#ofIdentity.get(lease.identity);
    if (own) own.add(lease);
    else this.#ofIdentity.set(lease.identity, new Set([lease]));
  }

  #unlist(lease: Lease): void {
    const own = this.#ofIdentity.get(lease.identity);
    own?.delete(lease);
    if (own?.size === 0) this.#ofIdentity.delete(lease.identity);
  }

  #release(serial: number, address: IpAddress): void {
    const text = address.toString();
    const lease = this.#leases.get(text);
    if (!lease?.holders.delete(serial) || lease.holders.size > 0) return;
    this.#leases.delete(text);
    this.#unlist(lease);
    if (this.#reserved.has(text)) return;
    for (const pool of this.#pools.values()) pool.free(address);
    this.#remember(`${address.family} ${lease.identity}`, address);
  }

  #remember(key: string, address: IpAddress): void {
    this.#remembered.delete(key);
    this.#remembered.set(key, address);
    if (this.#remembered.size <= MAX_REMEMBERED) return;
    for (const oldest of this.#remembered.keys()) {
      this.#remembered.delete(oldest);
      return;
    }
  }

  /** An IKE SA that holds `address`. */
  holderOf(address: IpAddress): number | undefined {
    const holders = this.#leases.get(address.toString())?.holders;
    return holders && [...holders].at(-1);
  }

  status(): PoolStatus[] {
    return [...this.#pools.values()].map((pool) => ({ pool: pool.config.id, size: pool.size, taken: pool.taken }));
  }
}
