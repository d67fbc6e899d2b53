import { NetlinkReader } from "../netlink/codec.js";
import type { NetlinkMessage } from "../netlink/messages.js";
import { NETLINK, NetlinkSocket } from "../netlink/socket.js";
import { RTA, RTM, RTNLGRP } from "./constants.js";

export interface NetworkWatch {
  close(): void;
}

const WATCHED: ReadonlySet<number> = new Set([
  RTM.newLink,
  RTM.delLink,
  RTM.newAddr,
  RTM.delAddr,
  RTM.newRoute,
  RTM.delRoute,
]);

/** Whether a routing message is about a table that the caller does not care for. */
function isIgnored({ type, body }: Pick<NetlinkMessage, "type" | "body">, tables: ReadonlySet<number>): boolean {
  if (type !== RTM.newRoute && type !== RTM.delRoute) return false;
  const reader = new NetlinkReader(body).skip(4);
  const short = reader.u8("rtm_table");
  return tables.has(reader.skip(7).attributes().get(RTA.table)?.u32("table") ?? short);
}

/**
 * Tells of every change of links, addresses and routes, and when the kernel had to drop such news; what has changed is to be
 * read anew. Routes of `ignoredTables` do not count.
 */
export function watchNetwork(changed: () => void, ignoredTables: readonly number[] = []): NetworkWatch {
  const { link, ipv4Address, ipv6Address, ipv4Route, ipv6Route } = RTNLGRP;
  const groups = [link, ipv4Address, ipv6Address, ipv4Route, ipv6Route];
  const socket = NetlinkSocket.open({ protocol: NETLINK.route, groups });
  const ignored = new Set(ignoredTables);
  socket.onMulticast((message) => {
    if (WATCHED.has(message.type) && !isIgnored(message, ignored)) changed();
  }, changed);
  socket.reference(true);
  return { close: () => socket.close() };
}
