import { type InnerPacket, PROTOCOL } from "./packet.js";

const TCP_HEADER = 20;
const SYN = 0x02;
const OPTION = { end: 0, none: 1, mss: 2 } as const;
const IP_HEADER = { 4: 20, 6: 40 } as const;

/** Whether the packet at `at` begins a TCP connection, in either direction. */
export function isSyn(view: DataView, at: number, packet: InnerPacket): boolean {
  if (packet.protocol !== PROTOCOL.tcp || packet.upper < 0 || packet.upper + TCP_HEADER > packet.length) return false;
  return (view.getUint8(at + packet.upper + 13) & SYN) !== 0;
}

/**
 * Lowers the maximum segment size that a SYN announces (RFC 9293 §3.7.1) to what packets of `mtu` octets have room for, so that neither
 * end sends longer ones where no ICMP comes through (CORE-20). The packet lies at `at`; everything else is left as it is.
 */
export function clampMss(view: DataView, at: number, packet: InnerPacket, mtu: number): void {
  if (!isSyn(view, at, packet)) return;
  const tcp = at + packet.upper;
  const end = at + packet.length;
  const mss = mtu - IP_HEADER[packet.family] - TCP_HEADER;
  const options = tcp + (view.getUint8(tcp + 12) >>> 4) * 4;
  if (mss < 1 || options > end) return;
  for (let option = tcp + TCP_HEADER; option < options; ) {
    const kind = view.getUint8(option);
    if (kind === OPTION.end) return;
    const length = kind === OPTION.none ? 1 : option + 1 < options ? view.getUint8(option + 1) : 0;
    if (kind !== OPTION.none && (length < 2 || option + length > options)) return;
    if (kind === OPTION.mss && length === 4) lower(view, tcp, option + 2, mss);
    option += length;
  }
}

function lower(view: DataView, tcp: number, field: number, mss: number): void {
  const before = view.getUint16(field);
  if (before <= mss) return;
  view.setUint16(field, mss);
  // At an odd place its octets stand in the low and the high half of two words of the sum.
  const swapped = (value: number) => ((field - tcp) % 2 === 0 ? value : ((value & 0xff) << 8) | (value >>> 8));
  // RFC 1624 §3.
  let sum = (~view.getUint16(tcp + 16) & 0xffff) + (~swapped(before) & 0xffff) + swapped(mss);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  view.setUint16(tcp + 16, ~sum & 0xffff);
}
