import { type IpAddress, Prefix } from "@sallyport/base";
import type { AddressSpec, RouteSpec } from "@sallyport/dataplane";
import { type Route, RouteNetlink } from "@sallyport/linux-io";
import { translated } from "./faults.js";

/**
 * Routing table, priority of the rule that sends lookups to it before main, and number of the "routing protocol" that marks
 * its routes and our addresses: one number, which no other program on Debian uses.
 */
export const ROUTE_TABLE = 221;
/** How old a list of the machine's links may be. */
const LINKS_MS = 1000;

type Netlink = Omit<RouteNetlink, "setLink">;

/** Whether a route leads to a network that holds `host`; asks for each length there is, and not each route. */
function isCovered(table: ReadonlyMap<string, Route>, host: Prefix): boolean {
  for (let length = 0; length <= host.length; length++) {
    if (table.has(Prefix.of(host.address, length).toString())) return true;
  }
  return false;
}

/**
 * Routes of tunnels in a table of their own. A kernel without a tunnel device routes an inner packet as it would the outer
 * one; what the route adds is the preferred source address, and a way out where there is no default route.
 */
export class TunnelRoutes {
  readonly #netlink: Netlink;
  readonly #families = new Set<4 | 6>();
  #loopback: Promise<number> | undefined;
  /** Those that stand, of earlier runs too, by destination: the kernel's are listed once, however many come and go. */
  #standing: Promise<Map<string, Route>> | undefined;
  /** What fits into the tunnels to a far end, and how many SAs say so. */
  readonly #mtus = new Map<string, { mtu: number | undefined; count: number }>();
  /** Far ends by destination, and destinations by far end. */
  readonly #via = new Map<string, string>();
  readonly #to = new Map<string, Set<string>>();
  #links: { readonly at: number; readonly mtus: Promise<ReadonlyMap<number, number>> } | undefined;

  constructor(netlink: Netlink) {
    this.#netlink = netlink;
  }

  static open(): TunnelRoutes {
    return new TunnelRoutes(RouteNetlink.open());
  }

  #table(): Promise<Map<string, Route>> {
    this.#standing ??= this.#list().catch((error) => {
      this.#standing = undefined;
      this.#mtus.clear();
      this.#via.clear();
      this.#to.clear();
      throw error;
    });
    return this.#standing;
  }

  async #list(): Promise<Map<string, Route>> {
    const found = await this.#netlink.routes(ROUTE_TABLE);
    const ours = found.filter(({ protocol, kind }) => protocol === ROUTE_TABLE && kind === "unicast");
    return new Map(ours.map((route) => [route.destination.toString(), route]));
  }

  async #rule(family: 4 | 6): Promise<void> {
    if (this.#families.has(family)) return;
    await this.#netlink.addRule({ family, priority: ROUTE_TABLE, table: ROUTE_TABLE, protocol: ROUTE_TABLE });
    this.#families.add(family);
  }

  /** The far end itself must not be routed by a tunnel's route that covers it. */
  #exception(route: RouteSpec): Route | undefined {
    const host = Prefix.of(route.via, route.via.bytes.length * 8);
    if (host.family !== route.destination.family || !route.destination.contains(host)) return undefined;
    return { destination: host, table: ROUTE_TABLE, protocol: ROUTE_TABLE, kind: "throw" };
  }

  async install(route: RouteSpec): Promise<void> {
    try {
      const table = await this.#table();
      await this.#rule(route.destination.family);
      const exception = this.#exception(route);
      if (exception) await this.#netlink.addRoute(exception);
      const outer = await this.#netlink.lookup(route.via);
      const added: Route = {
        destination: route.destination,
        table: ROUTE_TABLE,
        protocol: ROUTE_TABLE,
        kind: "unicast",
        // IPv6 knows no IPv4 gateway (nor does it need one here: what leaves is IPv4 by then).
        gateway: route.destination.family === 6 && route.via.family === 4 ? undefined : (outer?.gateway ?? route.via),
        interfaceIndex: outer?.interfaceIndex,
        source: route.source,
        mtu: forFamily(route.destination, this.#mtus.get(route.via.toString())?.mtu),
      };
      await this.#netlink.addRoute(added);
      table.set(route.destination.toString(), added);
      this.#leave(route.destination.toString());
      this.#via.set(route.destination.toString(), route.via.toString());
      const key = route.via.toString();
      this.#to.set(key, (this.#to.get(key) ?? new Set()).add(route.destination.toString()));
    } catch (error) {
      throw translated(error, new Uint8Array(0), "route.via");
    }
  }

  async remove(route: RouteSpec): Promise<void> {
    try {
      const table = await this.#table();
      const known = table.get(route.destination.toString());
      if (known) await this.#netlink.removeRoute(known);
      table.delete(route.destination.toString());
      this.#leave(route.destination.toString());
      const exception = this.#exception(route);
      if (exception && !isCovered(table, exception.destination)) await this.#netlink.removeRoute(exception);
    } catch (error) {
      throw translated(error, new Uint8Array(0), "route.destination");
    }
  }

  #leave(destination: string): void {
    const via = this.#via.get(destination);
    if (via === undefined) return;
    this.#via.delete(destination);
    const others = this.#to.get(via);
    others?.delete(destination);
    if (others?.size === 0) this.#to.delete(via);
  }

  /** What the link takes that packets to a far end leave by, or less where the kernel has been told so; infinite when there is none. */
  async pathMtu(via: IpAddress): Promise<number> {
    const now = performance.now();
    if (!this.#links || now - this.#links.at > LINKS_MS) {
      const mtus = this.#netlink.links().then((links) => new Map(links.map(({ index, mtu }) => [index, mtu])));
      mtus.catch(() => undefined);
      this.#links = { at: now, mtus };
    }
    const [route, links] = await Promise.all([this.#netlink.lookup(via), this.#links.mtus]);
    const link = links.get(route?.interfaceIndex ?? 0) || Number.POSITIVE_INFINITY;
    return Math.min(link, route?.mtu ?? Number.POSITIVE_INFINITY);
  }

  /**
   * An outbound SA to `via` takes packets of `mtu` octets, if that is known: its routes say so from now on, to forwarded packets, to this machine's own
   * TCP, and to `MssClamp`, which sees no SA when it looks for the way back.
   */
  async fits(via: IpAddress, mtu: number | undefined): Promise<void> {
    const before = this.#mtus.get(via.toString());
    this.#mtus.set(via.toString(), { mtu, count: (before?.count ?? 0) + 1 });
    if (before?.mtu === mtu) return;
    const destinations = this.#to.get(via.toString());
    if (!destinations) return;
    const table = await this.#table();
    for (const destination of [...destinations]) {
      const known = table.get(destination);
      if (!known) continue;
      const route = { ...known, mtu: forFamily(known.destination, mtu) };
      table.set(destination, route);
      await this.#netlink.addRoute(route);
    }
  }

  /** The SA is gone. */
  forget(via: IpAddress): void {
    const known = this.#mtus.get(via.toString());
    if (known && --known.count === 0) this.#mtus.delete(via.toString());
  }

  /** Addresses are hung on the loopback device, marked as ours (IFA_PROTO). */
  async installAddress({ address, prefixLength }: AddressSpec): Promise<void> {
    try {
      await this.#netlink.addAddress(await this.#device(), address, prefixLength, ROUTE_TABLE);
    } catch (error) {
      throw translated(error, new Uint8Array(0), "address");
    }
  }

  async removeAddress({ address, prefixLength }: AddressSpec): Promise<void> {
    try {
      await this.#netlink.removeAddress(await this.#device(), address, prefixLength);
    } catch (error) {
      throw translated(error, new Uint8Array(0), "address");
    }
  }

  /** Addresses that are marked as ours. */
  async addresses(): Promise<AddressSpec[]> {
    const found = await this.#netlink.addresses(ROUTE_TABLE);
    return found.map(({ address, prefixLength }) => ({ address, prefixLength }));
  }

  #device(): Promise<number> {
    this.#loopback ??= this.#netlink.link("lo").then((found) => found?.index ?? 1);
    return this.#loopback;
  }

  /** Removes all that is marked as ours, of earlier runs too. */
  async flush(): Promise<void> {
    const netlink = this.#netlink;
    const ours = (found: Route) => found.protocol === ROUTE_TABLE;
    const routes = (await netlink.routes(ROUTE_TABLE)).filter(ours);
    await Promise.all(routes.map((route) => netlink.removeRoute(route)));
    const addresses = await netlink.addresses(ROUTE_TABLE);
    await Promise.all(addresses.map((a) => netlink.removeAddress(a.interfaceIndex, a.address, a.prefixLength)));
    for (const family of [4, 6] as const) {
      const rules = (await netlink.rules(family)).filter((rule) => rule.protocol === ROUTE_TABLE);
      await Promise.all(rules.map((rule) => netlink.removeRule(rule)));
    }
    this.#families.clear();
    this.#standing = undefined;
  }

  close(): void {
    this.#netlink.close();
  }
}

/** No IPv6 link may take less (RFC 8200 §5): what does not fit then is cut outside. */
function forFamily({ family }: Prefix, mtu: number | undefined): number | undefined {
  return mtu === undefined || family === 4 ? mtu : Math.max(mtu, 1280);
}
