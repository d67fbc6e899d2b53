/** Protocol numbers that carry ports, or a type and a code in their place. */
export const PROTOCOL = {
  icmp: 1,
  ipip: 4,
  tcp: 6,
  udp: 17,
  ipv6: 41,
  icmpv6: 58,
  sctp: 132,
  dccp: 33,
  udplite: 136,
} as const;
const IPV6_EXTENSION = {
  hopByHop: 0,
  routing: 43,
  fragment: 44,
  authentication: 51,
  destination: 60,
  mobility: 135,
} as const;
const IPV4_HEADER = 20;
const IPV6_HEADER = 40;

/**
 * What selectors look at (RFC 4301 §4.4.1.1), read from an inner packet. One object is used for all packets, because a packet
 * is judged and forgotten. Addresses are 32-bit words, IPv4 in the first.
 */
export class InnerPacket {
  family: 4 | 6 = 4;
  readonly source = new Uint32Array(4);
  readonly destination = new Uint32Array(4);
  protocol = 0;
  /** −1 when the packet shows none: another protocol, or a fragment after the first. ICMP: type and code. */
  sourcePort = -1;
  destinationPort = -1;
  /** Where the upper-layer header begins, counted from the packet's; −1 as with the ports. */
  upper = -1;
  /** Octets by the packet's own header, which may be fewer than were received (RFC 4303 §2.7). */
  length = 0;
  tos = 0;
  /** May not be fragmented on the way: DF, or any IPv6 packet. */
  dontFragment = false;

  /** False when the octets are no IP packet that fits in `available`. */
  read(view: DataView, at: number, available: number): boolean {
    if (available < IPV4_HEADER) return false;
    const version = view.getUint8(at) >>> 4;
    this.sourcePort = -1;
    this.destinationPort = -1;
    this.upper = -1;
    if (version === 4) return this.#readIpv4(view, at, available);
    return version === 6 && available >= IPV6_HEADER && this.#readIpv6(view, at, available);
  }

  #readIpv4(view: DataView, at: number, available: number): boolean {
    const headerBytes = (view.getUint8(at) & 0x0f) * 4;
    this.length = view.getUint16(at + 2);
    if (headerBytes < IPV4_HEADER || this.length < headerBytes || this.length > available) return false;
    const fragment = view.getUint16(at + 6);
    this.family = 4;
    this.tos = view.getUint8(at + 1);
    this.dontFragment = (fragment & 0x4000) !== 0;
    this.protocol = view.getUint8(at + 9);
    this.source[0] = view.getUint32(at + 12);
    this.destination[0] = view.getUint32(at + 16);
    if ((fragment & 0x1fff) === 0) this.#readPorts(view, at, headerBytes, at + this.length);
    return true;
  }

  #readIpv6(view: DataView, at: number, available: number): boolean {
    this.length = IPV6_HEADER + view.getUint16(at + 4);
    if (this.length > available) return false;
    this.family = 6;
    this.tos = (view.getUint16(at) >>> 4) & 0xff;
    this.dontFragment = true;
    for (let word = 0; word < 4; word++) {
      this.source[word] = view.getUint32(at + 8 + word * 4);
      this.destination[word] = view.getUint32(at + 24 + word * 4);
    }
    this.#walkExtensions(view, at, view.getUint8(at + 6), at + this.length);
    return true;
  }

  /** Finds the upper-layer protocol behind the extension headers (RFC 8200 §4). */
  #walkExtensions(view: DataView, start: number, first: number, end: number): void {
    let next = first;
    let at = start + IPV6_HEADER;
    while (at + 8 <= end) {
      let size: number;
      if (next === IPV6_EXTENSION.fragment) {
        if ((view.getUint16(at + 2) & 0xfff8) !== 0) {
          this.protocol = view.getUint8(at);
          return;
        }
        size = 8;
      } else if (next === IPV6_EXTENSION.authentication) {
        size = (view.getUint8(at + 1) + 2) * 4;
      } else if (
        next === IPV6_EXTENSION.hopByHop ||
        next === IPV6_EXTENSION.routing ||
        next === IPV6_EXTENSION.destination ||
        next === IPV6_EXTENSION.mobility
      ) {
        size = (view.getUint8(at + 1) + 1) * 8;
      } else {
        break;
      }
      next = view.getUint8(at);
      at += size;
    }
    this.protocol = next;
    this.#readPorts(view, start, at - start, end);
  }

  #readPorts(view: DataView, start: number, upper: number, end: number): void {
    const at = start + upper;
    if (at + 4 > end) return;
    this.upper = upper;
    switch (this.protocol) {
      case PROTOCOL.tcp:
      case PROTOCOL.udp:
      case PROTOCOL.sctp:
      case PROTOCOL.dccp:
      case PROTOCOL.udplite:
        this.sourcePort = view.getUint16(at);
        this.destinationPort = view.getUint16(at + 2);
        return;
      case PROTOCOL.icmp:
      case PROTOCOL.icmpv6:
        this.sourcePort = view.getUint8(at);
        this.destinationPort = view.getUint8(at + 1);
    }
  }

  /** A number that is equal for equal selectors of packets. */
  hash(): number {
    let h = (this.source[0] as number) ^ Math.imul(this.destination[0] as number, 0x9e3779b1);
    if (this.family === 6) {
      for (let word = 1; word < 4; word++) {
        h = Math.imul(h ^ (this.source[word] as number), 0x85ebca6b) ^ (this.destination[word] as number);
      }
    }
    h = Math.imul(h ^ (this.protocol << 24) ^ (this.sourcePort << 12) ^ this.destinationPort, 0x9e3779b1);
    return (h ^ (h >>> 15)) >>> 0;
  }
}
