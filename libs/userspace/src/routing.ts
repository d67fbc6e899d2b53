import { readFile, writeFile } from "node:fs/promises";
import { type Family, IpAddress, Prefix } from "@sallyport/base";
import type { AddressSpec, RouteSpec } from "@sallyport/dataplane";
import type { Route, RouteNetlink, Rule } from "@sallyport/linux-io";
import { ClearGuard } from "./clear-guard.js";
import { fault, translated } from "./faults.js";

const FAMILIES: readonly Family[] = [4, 6];

export interface RoutingOptions {
  /** Routing table of the tunnels' routes. The next one leads all to the TUN device (`ClearGuard`). */
  readonly table: number;
  /** Priority of the rule that leads to it, before main's 32766; the three before it and the one after it are used too. */
  readonly rulePriority: number;
  /** `rtm_protocol` of everything made here. */
  readonly protocol: number;
  /** SO_MARK of what must not go into the tunnels again. */
  readonly bypassMark: number;
}

export const ROUTING_DEFAULTS: RoutingOptions = { table: 7327, rulePriority: 7327, protocol: 227, bypassMark: 7327 };

/**
 * Leads traffic for the tunnels to the TUN device, by a routing table of our own. Everything goes with the device, except the
 * rule and the `throw` routes that keep a tunnel's own datagrams out of the tunnel.
 */
export class Routing {
  /** Installed routes by destination. */
  readonly #routes = new Map<string, RouteSpec>();
  readonly #addresses = new Map<string, AddressSpec>();

  readonly guard: ClearGuard;
  #interfaceIndex = 0;
  #device: string | undefined;

  private constructor(
    private readonly netlink: RouteNetlink,
    private readonly options: RoutingOptions,
  ) {
    const { table, rulePriority, protocol } = options;
    this.guard = new ClearGuard(netlink, { priority: rulePriority - 1, table: table + 1, protocol });
  }

  /** Puts the rules in place. */
  static async open(netlink: RouteNetlink, options: RoutingOptions): Promise<Routing> {
    const routing = new Routing(netlink, options);
    await routing.#removeLeftovers();
    for (const rule of routing.#rules()) await netlink.addRule(rule);
    return routing;
  }

  /** Brings the device up, and leads to it what led to the one before. */
  async attach(name: string, mtu: number): Promise<void> {
    // Nothing but tunnel traffic may appear on the device: no link-local address, no router solicitations.
    await writeFile(`/proc/sys/net/ipv6/conf/${name}/addr_gen_mode`, "1").catch(() => undefined);
    const link = await this.netlink.link(name);
    if (!link) throw fault("dataplane/failed", `the TUN device ${name} is gone`);
    this.#interfaceIndex = link.index;
    await this.netlink.setLink(link.index, { up: true, mtu });
    const { table, protocol } = this.options;
    for (const family of FAMILIES) {
      const destination = Prefix.any(family);
      const interfaceIndex = link.index;
      const route = { kind: "unicast", destination, table: table + 1, protocol, interfaceIndex } as const;
      await this.netlink.addRoute(route).catch(async (error) => {
        // Where IPv6 is switched off no IPv6 packet is forwarded either.
        if (family === 4 || !(await isOff(name))) throw error;
      });
      await this.netlink.addRule(this.#fromDevice(family, name));
    }
    this.#device = name;
    for (const route of this.#routes.values()) await this.installRoute(route);
  }

  async installRoute(spec: RouteSpec): Promise<void> {
    const before = this.#routes.get(spec.destination.toString());
    try {
      // The exception first: with the route alone, the tunnel's datagrams would go into the tunnel.
      if (needsException(spec)) await this.netlink.addRoute(this.#exception(spec.via));
      await this.netlink.addRoute(this.#route(spec));
    } catch (error) {
      throw translated(error, spec.source ? "source" : "destination");
    }
    this.#routes.set(spec.destination.toString(), spec);
    if (before && !before.via.equals(spec.via)) await this.#dropException(before);
  }

  async removeRoute(spec: RouteSpec): Promise<void> {
    const before = this.#routes.get(spec.destination.toString());
    if (!before) return;
    await this.netlink.removeRoute(this.#route(before));
    this.#routes.delete(spec.destination.toString());
    await this.#dropException(before);
  }

  /**
   * Addresses hang on the loopback device, marked as ours (IFA_PROTO): when the last one of a device goes, the kernel forgets all
   * routes through that device, which would be those of every tunnel.
   */
  async installAddress(spec: AddressSpec): Promise<void> {
    try {
      await this.netlink.addAddress(await this.#loopback(), spec.address, spec.prefixLength, this.options.protocol);
    } catch (error) {
      throw translated(error, "address");
    }
    this.#addresses.set(spec.address.toString(), spec);
  }

  async removeAddress({ address }: AddressSpec): Promise<void> {
    const before = this.#addresses.get(address.toString());
    if (!before) return;
    await this.netlink.removeAddress(await this.#loopback(), address, before.prefixLength);
    this.#addresses.delete(address.toString());
  }

  async #loopback(): Promise<number> {
    return (await this.netlink.link("lo"))?.index ?? 1;
  }

  async flush(): Promise<void> {
    await this.guard.clear();
    for (const route of [...this.#routes.values()]) await this.removeRoute(route);
    for (const address of [...this.#addresses.values()]) await this.removeAddress(address);
  }

  async close(): Promise<void> {
    await this.flush();
    const device = this.#device;
    const last = device === undefined ? [] : FAMILIES.map((family) => this.#fromDevice(family, device));
    for (const rule of [...last, ...this.#rules()]) await this.netlink.removeRule(rule);
  }

  /** Packets that we send unprotected on purpose go past our tables; all others are looked up in them. */
  #rules(): Rule[] {
    const { table, rulePriority: priority, protocol, bypassMark: mark } = this.options;
    return FAMILIES.flatMap((family) => [
      { family, priority: priority + 1, table: 0, protocol },
      { family, priority, table, protocol },
      { family, priority: priority - 3, table: 0, protocol, goTo: priority + 1, mark },
    ]);
  }

  /** What comes out of a tunnel is not held for a packet in the clear. */
  #fromDevice(family: Family, incoming: string): Rule {
    const { rulePriority: priority, protocol } = this.options;
    return { family, priority: priority - 2, table: 0, protocol, goTo: priority, incoming };
  }

  #route({ destination, source }: RouteSpec): Route {
    const { table, protocol } = this.options;
    return { kind: "unicast", destination, source, table, protocol, interfaceIndex: this.#interfaceIndex };
  }

  #exception(via: IpAddress): Route {
    const { table, protocol } = this.options;
    return { kind: "throw", destination: Prefix.of(via, via.family === 4 ? 32 : 128), table, protocol };
  }

  async #dropException(spec: RouteSpec): Promise<void> {
    if (!needsException(spec)) return;
    const { via } = spec;
    const exception = this.#exception(via);
    // Asks for each length of prefix that holds the far end, and not each route: there may be thousands.
    for (let length = 0; length <= exception.destination.length; length++) {
      if (this.#routes.get(Prefix.of(via, length).toString())?.via.equals(via)) return;
    }
    await this.netlink.removeRoute(exception);
  }

  /** What an earlier run left behind when it was killed: what does not go with the device. */
  async #removeLeftovers(): Promise<void> {
    const { table, rulePriority, protocol } = this.options;
    for (const route of await this.netlink.routes(table)) {
      if (route.kind === "throw" && route.protocol === protocol) await this.netlink.removeRoute(route);
    }
    for (const left of await this.netlink.addresses(protocol)) {
      await this.netlink.removeAddress(left.interfaceIndex, left.address, left.prefixLength);
    }
    for (const family of FAMILIES) {
      const guards = (await this.netlink.rules(family)).filter((rule) => rule.protocol === protocol);
      for (const rule of guards) {
        if (rule.priority === rulePriority - 1) await this.netlink.removeRule(rule);
        if (rule.priority === rulePriority - 2) await this.netlink.removeRule({ ...rule, goTo: rulePriority });
      }
    }
  }
}

/** The far end lies in the network that is reached through it. */
function needsException(spec: RouteSpec): boolean {
  return spec.destination.family === spec.via.family && spec.destination.contains(spec.via);
}

/** Whether IPv6 is switched off for a device, or missing altogether. */
async function isOff(device: string): Promise<boolean> {
  const text = await readFile(`/proc/sys/net/ipv6/conf/${device}/disable_ipv6`, "utf8").catch(() => "1");
  return text.trim() !== "0";
}
