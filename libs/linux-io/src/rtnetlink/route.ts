import { IpAddress, Prefix } from "@sallyport/base";
import { AF } from "../constants.js";
import { NetlinkReader, NetlinkWriter } from "../netlink/codec.js";
import { RT_SCOPE, RTA, RTAX_MTU, RTN } from "./constants.js";

export interface Route {
  readonly destination: Prefix;
  readonly table: number;
  /** Who made it: `RTPROT_*`, or a number of one's own. */
  readonly protocol: number;
  /** `throw` ends the lookup in this table. */
  readonly kind: "unicast" | "throw";
  readonly gateway?: IpAddress | undefined;
  readonly interfaceIndex?: number | undefined;
  /** Preferred source address of what this host sends. */
  readonly source?: IpAddress | undefined;
  /** Octets; locks nothing, bounds what is sent along this route. */
  readonly mtu?: number | undefined;
  /** Lower wins; the kernel's own default differs between IPv4 (0) and IPv6 (1024). */
  readonly metric?: number | undefined;
}

export const familyNumber = (family: number): number => (family === 4 ? AF.inet : AF.inet6);

/** struct rtmsg and its attributes. */
export function encodeRoute(route: Route): Uint8Array {
  const writer = new NetlinkWriter();
  const { destination, gateway } = route;
  const onLink = route.kind === "unicast" && !gateway;
  writer
    .u8(familyNumber(destination.address.family))
    .u8(destination.length)
    .u8(0)
    .u8(0)
    .u8(route.table < 256 ? route.table : 0)
    .u8(route.protocol)
    .u8(onLink ? RT_SCOPE.link : RT_SCOPE.universe)
    .u8(RTN[route.kind])
    .u32(0);
  writer.attribute(RTA.dst, (w) => w.bytes(destination.address.bytes));
  writer.attribute(RTA.table, (w) => w.u32(route.table));
  if (gateway && gateway.family === destination.address.family) {
    writer.attribute(RTA.gateway, (w) => w.bytes(gateway.bytes));
  } else if (gateway) {
    writer.attribute(RTA.via, (w) => w.u16(familyNumber(gateway.family)).bytes(gateway.bytes));
  }
  if (route.interfaceIndex !== undefined) {
    const index = route.interfaceIndex;
    writer.attribute(RTA.oif, (w) => w.u32(index));
  }
  const { source, mtu, metric } = route;
  if (source) writer.attribute(RTA.prefsrc, (w) => w.bytes(source.bytes));
  if (metric !== undefined) writer.attribute(RTA.priority, (w) => w.u32(metric));
  if (mtu !== undefined) writer.attribute(RTA.metrics, (w) => w.attribute(RTAX_MTU, (m) => m.u32(mtu)));
  return writer.done();
}

/** Undefined for kinds and families that this library does not make. */
export function decodeRoute(body: Uint8Array): Route | undefined {
  const reader = new NetlinkReader(body);
  const family = reader.u8("rtm_family");
  const length = reader.u8("rtm_dst_len");
  reader.skip(2);
  const shortTable = reader.u8("rtm_table");
  const protocol = reader.u8("rtm_protocol");
  reader.skip(1);
  const type = reader.u8("rtm_type");
  reader.skip(4);
  const kind = type === RTN.unicast ? "unicast" : type === RTN.throw ? "throw" : undefined;
  if (!kind || (family !== AF.inet && family !== AF.inet6)) return undefined;
  const attributes = reader.attributes();
  const rest = (type_: number) => {
    const found = attributes.get(type_);
    return found?.bytes(found.remaining, "address");
  };
  const address = (bytes: Uint8Array | undefined) => (bytes ? IpAddress.from(bytes) : undefined);
  const zero = IpAddress.any(family === AF.inet ? 4 : 6);
  const metrics = attributes.get(RTA.metrics)?.attributes();
  return {
    destination: Prefix.of(address(rest(RTA.dst)) ?? zero, length),
    table: attributes.get(RTA.table)?.u32("table") ?? shortTable,
    protocol,
    kind,
    gateway: address(rest(RTA.gateway) ?? rest(RTA.via)?.subarray(2)),
    interfaceIndex: attributes.get(RTA.oif)?.u32("oif"),
    source: address(rest(RTA.prefsrc)),
    mtu: metrics?.get(RTAX_MTU)?.u32("mtu"),
    metric: attributes.get(RTA.priority)?.u32("priority"),
  };
}
