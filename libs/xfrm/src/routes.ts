import { Prefix } from "@sallyport/base";
import type { AddressSpec, RouteSpec } from "@sallyport/dataplane";
import { type Route, RouteNetlink } from "@sallyport/linux-io";
import { translated } from "./faults.js";

/**
 * Routing table, priority of the rule that sends lookups to it before main, and number of the "routing protocol" that marks
 * its routes and our addresses: one number, which no other program on Debian uses.
 */
export const ROUTE_TABLE = 221;

type Netlink = Omit<RouteNetlink, "links" | "setLink">;

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

  constructor(netlink: Netlink) {
    this.#netlink = netlink;
  }

  static open(): TunnelRoutes {
    return new TunnelRoutes(RouteNetlink.open());
  }

  #table(): Promise<Map<string, Route>> {
    this.#standing ??= this.#list().catch((error) => {
      this.#standing = undefined;
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
      };
      await this.#netlink.addRoute(added);
      table.set(route.destination.toString(), added);
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
      const exception = this.#exception(route);
      if (exception && !isCovered(table, exception.destination)) await this.#netlink.removeRoute(exception);
    } catch (error) {
      throw translated(error, new Uint8Array(0), "route.destination");
    }
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
