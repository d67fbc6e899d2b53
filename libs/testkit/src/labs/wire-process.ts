import { PacketTap, RawSocket, RouteNetlink } from "@sallyport/linux-io";
import { serve } from "./rpc.js";

/** The router between two gateways: sees what passes the device that is its first argument, and sends what it is told to. */
const [device = ""] = process.argv.slice(2);
const netlink = RouteNetlink.open();
const link = await netlink.link(device);
netlink.close();
if (!link) throw new Error(`no device ${device}`);

const MAX_CAPTURED = 10_000;
let captured: Uint8Array[] = [];

/** ICMPv6 types 133 to 137 (RFC 4861), and what a host says behind a hop-by-hop header when it comes up: MLD (RFC 3810). */
function isNeighbourDiscovery(packet: Uint8Array): boolean {
  if ((packet[0] ?? 0) >> 4 !== 6) return false;
  const [next, type] = [packet[6] ?? 0, packet[40] ?? 0];
  return next === 0 || (next === 58 && type >= 133 && type <= 137);
}

PacketTap.open(link.index).onPacket((packet) => {
  if (captured.length < MAX_CAPTURED && !isNeighbourDiscovery(packet)) captured.push(Uint8Array.from(packet));
});

const senders = { 4: RawSocket.open({ family: 4 }), 6: RawSocket.open({ family: 6 }) };

serve({
  capture: () => {
    captured = [];
  },
  captured: () => captured,
  inject: (packet: Uint8Array) => senders[(packet[0] ?? 0) >> 4 === 4 ? 4 : 6].send(packet),
});
