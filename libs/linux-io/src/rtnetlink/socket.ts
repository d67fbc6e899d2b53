import { type Family, type Fault, IpAddress, type Prefix } from "@sallyport/base";
import { AF } from "../constants.js";
import { NetlinkReader, NetlinkWriter } from "../netlink/codec.js";
import { NLM_F } from "../netlink/messages.js";
import { NETLINK, NetlinkSocket } from "../netlink/socket.js";
import type { AddressInfo, LinkInfo } from "../types.js";
import { FR_ACT, FRA, IFA, IFA_F_NODAD, IFF_UP, IFLA, RTA, RTM, RTM_F_LOOKUP_TABLE } from "./constants.js";
import { decodeRoute, encodeRoute, familyNumber, type Route } from "./route.js";

/** A routing rule: sends lookups of a family to a table or, with `goTo`, past other rules; all of them, or those that are named. */
export interface Rule {
  readonly family: Family;
  readonly priority: number;
  /** 0: the rule leads nowhere, unless `goTo` says where; then it is a place for others to go to. */
  readonly table: number;
  readonly protocol: number;
  /** Priority of the rule to go on with, higher than this one's. Not told by `rules`, as all that follows. */
  readonly goTo?: number | undefined;
  /** Only packets from here, to there, that came by this device, with this mark (SO_MARK). */
  readonly from?: Prefix | undefined;
  readonly to?: Prefix | undefined;
  readonly incoming?: string | undefined;
  readonly mark?: number | undefined;
}

const gone = new Set(["ENOENT", "ESRCH", "EADDRNOTAVAIL", "ENODEV"]);

function isRefusal(error: unknown, names: ReadonlySet<string>): boolean {
  const found = error as Fault;
  return found.code === "linux-io/netlink-refused" && names.has(found.value ?? "");
}

/** Links, addresses, routes and rules. Adding what is there and removing what is not there both succeed. */
export class RouteNetlink {
  readonly #socket: NetlinkSocket;

  private constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  static open(): RouteNetlink {
    return new RouteNetlink(NetlinkSocket.open({ protocol: NETLINK.route }));
  }

  async links(): Promise<LinkInfo[]> {
    const body = new NetlinkWriter(16).zero(16).done();
    return (await this.#socket.dump(RTM.getLink, body, "listing links")).map(({ body }) => {
      const reader = new NetlinkReader(body).skip(4);
      const index = reader.u32("ifi_index");
      const up = (reader.u32("ifi_flags") & IFF_UP) !== 0;
      const attributes = reader.skip(4).attributes();
      return {
        index,
        up,
        name: attributes.get(IFLA.ifname)?.text() ?? "",
        mtu: attributes.get(IFLA.mtu)?.u32("mtu") ?? 0,
      };
    });
  }

  async link(name: string): Promise<LinkInfo | undefined> {
    return (await this.links()).find((link) => link.name === name);
  }

  async setLink(index: number, change: { up?: boolean; mtu?: number }): Promise<void> {
    const writer = new NetlinkWriter(64).zero(4).u32(index);
    writer.u32(change.up ? IFF_UP : 0).u32(change.up === undefined ? 0 : IFF_UP);
    const { mtu } = change;
    if (mtu !== undefined) writer.attribute(IFLA.mtu, (w) => w.u32(mtu));
    await this.#socket.request(RTM.newLink, 0, writer.done(), `changing link ${index}`);
  }

  /** With `protocol`, only addresses that carry it (IFA_PROTO, Linux 5.18). */
  async addresses(protocol?: number): Promise<AddressInfo[]> {
    const found: AddressInfo[] = [];
    const body = new NetlinkWriter(8).zero(8).done();
    for (const message of await this.#socket.dump(RTM.getAddr, body, "listing addresses")) {
      const reader = new NetlinkReader(message.body);
      const family = reader.u8("ifa_family");
      const prefixLength = reader.u8("ifa_prefixlen");
      const interfaceIndex = reader.skip(2).u32("ifa_index");
      if (family !== AF.inet && family !== AF.inet6) continue;
      const attributes = reader.attributes();
      const octets = attributes.get(IFA.local) ?? attributes.get(IFA.address);
      if (!octets) continue;
      if (protocol !== undefined && attributes.get(IFA.proto)?.u8("proto") !== protocol) continue;
      const address = IpAddress.from(octets.bytes(octets.remaining, "address"));
      found.push({ interfaceIndex, family: address.family, address, prefixLength });
    }
    return found;
  }

  async addAddress(index: number, address: IpAddress, prefixLength: number, protocol = 0): Promise<void> {
    const body = encodeAddress(index, address, prefixLength, protocol);
    await this.#socket.request(RTM.newAddr, NLM_F.create | NLM_F.replace, body, `adding the address ${address}`);
  }

  async removeAddress(index: number, address: IpAddress, prefixLength: number): Promise<void> {
    const body = encodeAddress(index, address, prefixLength, 0);
    await this.#remove(RTM.delAddr, body, `removing the address ${address}`);
  }

  async addRoute(route: Route): Promise<void> {
    const doing = `adding the route to ${route.destination}`;
    await this.#socket.request(RTM.newRoute, NLM_F.create | NLM_F.replace, encodeRoute(route), doing);
  }

  async removeRoute(route: Route): Promise<void> {
    await this.#remove(RTM.delRoute, encodeRoute(route), `removing the route to ${route.destination}`);
  }

  /** Unicast and throw routes of one table, both families. */
  async routes(table: number): Promise<Route[]> {
    const body = new NetlinkWriter(12).zero(12).done();
    const found = (await this.#socket.dump(RTM.getRoute, body, "listing routes")).map((m) => decodeRoute(m.body));
    return found.filter((route): route is Route => route !== undefined && route.table === table);
  }

  /** The route that a packet to `destination` would take; undefined when there is none. */
  async lookup(destination: IpAddress, source?: IpAddress): Promise<Route | undefined> {
    const bits = destination.bytes.length * 8;
    const writer = new NetlinkWriter(64)
      .u8(familyNumber(destination.family))
      .u8(bits)
      .u8(source ? bits : 0)
      .zero(5)
      .u32(RTM_F_LOOKUP_TABLE);
    writer.attribute(RTA.dst, (w) => w.bytes(destination.bytes));
    if (source) writer.attribute(RTA.src, (w) => w.bytes(source.bytes));
    try {
      const doing = `looking up the route to ${destination}`;
      const [answer] = await this.#socket.request(RTM.getRoute, 0, writer.done(), doing);
      return answer && decodeRoute(answer.body);
    } catch (error) {
      if (isRefusal(error, new Set(["ENETUNREACH", "EHOSTUNREACH"]))) return undefined;
      throw error;
    }
  }

  async rules(family: Family): Promise<Rule[]> {
    const body = new NetlinkWriter(12).u8(familyNumber(family)).zero(11).done();
    return (await this.#socket.dump(RTM.getRule, body, "listing rules")).map((message) => {
      const reader = new NetlinkReader(message.body).skip(4);
      const table = reader.u8("table");
      const attributes = reader.skip(7).attributes();
      return {
        family,
        table: attributes.get(FRA.table)?.u32("table") ?? table,
        priority: attributes.get(FRA.priority)?.u32("priority") ?? 0,
        protocol: attributes.get(FRA.protocol)?.u8("protocol") ?? 0,
      };
    });
  }

  async addRule(rule: Rule): Promise<void> {
    try {
      const flags = NLM_F.create | NLM_F.exclusive;
      await this.#socket.request(RTM.newRule, flags, encodeRule(rule), `adding the rule for table ${rule.table}`);
    } catch (error) {
      if (!isRefusal(error, new Set(["EEXIST"]))) throw error;
    }
  }

  async removeRule(rule: Rule): Promise<void> {
    await this.#remove(RTM.delRule, encodeRule(rule), `removing the rule for table ${rule.table}`);
  }

  async #remove(type: number, body: Uint8Array, doing: string): Promise<void> {
    try {
      await this.#socket.request(type, 0, body, doing);
    } catch (error) {
      if (!isRefusal(error, gone)) throw error;
    }
  }

  close(): void {
    this.#socket.close();
  }
}

/** struct ifaddrmsg and its attributes. */
function encodeAddress(index: number, address: IpAddress, prefixLength: number, protocol: number): Uint8Array {
  const writer = new NetlinkWriter(64).u8(familyNumber(address.family)).u8(prefixLength).u8(0).u8(0).u32(index);
  writer.attribute(IFA.local, (w) => w.bytes(address.bytes));
  writer.attribute(IFA.address, (w) => w.bytes(address.bytes));
  if (address.family === 6) writer.attribute(IFA.flags, (w) => w.u32(IFA_F_NODAD));
  if (protocol !== 0) writer.attribute(IFA.proto, (w) => w.u8(protocol));
  return writer.done();
}

/** struct fib_rule_hdr and its attributes. */
function encodeRule({ family, priority, table, protocol, goTo, from, to, incoming, mark }: Rule): Uint8Array {
  const action = goTo !== undefined ? FR_ACT.goTo : table === 0 ? FR_ACT.nop : FR_ACT.toTable;
  const writer = new NetlinkWriter(64)
    .u8(familyNumber(family))
    .u8(to?.length ?? 0)
    .u8(from?.length ?? 0)
    .u8(0);
  writer
    .u8(table < 256 ? table : 0)
    .zero(2)
    .u8(action)
    .u32(0);
  writer.attribute(FRA.priority, (w) => w.u32(priority));
  if (table !== 0) writer.attribute(FRA.table, (w) => w.u32(table));
  writer.attribute(FRA.protocol, (w) => w.u8(protocol));
  if (goTo !== undefined) writer.attribute(FRA.goTo, (w) => w.u32(goTo));
  if (to) writer.attribute(FRA.destination, (w) => w.bytes(to.address.bytes));
  if (from) writer.attribute(FRA.source, (w) => w.bytes(from.address.bytes));
  if (incoming !== undefined) writer.attribute(FRA.incoming, (w) => w.text(incoming, incoming.length + 1));
  if (mark !== undefined) writer.attribute(FRA.mark, (w) => w.u32(mark));
  return writer.done();
}
