import { IpAddress } from "@sallyport/base";

/** The Internet checksum, the slow and plain way. */
export function sum16(octets: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < octets.length; i += 2) sum += (octets[i] as number) * 256 + (octets[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum % 0x10000) + Math.floor(sum / 0x10000);
  return sum;
}

export interface Ipv4Fields {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly protocol: number;
  readonly payload: Uint8Array;
  readonly dontFragment?: boolean;
  /** In units of 8 octets. */
  readonly fragmentOffset?: number;
  readonly tos?: number;
}

export function ipv4(fields: Ipv4Fields): Uint8Array {
  const { source, destination, protocol, payload, dontFragment = false, fragmentOffset = 0, tos = 0 } = fields;
  const packet = new Uint8Array(20 + payload.length);
  const view = new DataView(packet.buffer);
  packet.set([0x45, tos], 0);
  view.setUint16(2, packet.length);
  view.setUint16(6, (dontFragment ? 0x4000 : 0) | fragmentOffset);
  packet.set([64, protocol], 8);
  packet.set(source.bytes, 12);
  packet.set(destination.bytes, 16);
  view.setUint16(10, ~sum16(packet.subarray(0, 20)) & 0xffff);
  packet.set(payload, 20);
  return packet;
}

export function ipv6(
  source: string,
  destination: string,
  nextHeader: number,
  payload: Uint8Array,
  tos = 0,
): Uint8Array {
  const packet = new Uint8Array(40 + payload.length);
  const view = new DataView(packet.buffer);
  view.setUint16(0, 0x6000 | (tos << 4));
  view.setUint16(4, payload.length);
  packet.set([nextHeader, 64], 6);
  packet.set(IpAddress.parse(source).bytes, 8);
  packet.set(IpAddress.parse(destination).bytes, 24);
  packet.set(payload, 40);
  return packet;
}

export interface UdpFields {
  readonly source: string;
  readonly destination: string;
  readonly ports: readonly [number, number];
  /** Of the payload. */
  readonly octets: number;
  readonly dontFragment?: boolean;
  readonly tos?: number;
}

/** UDP over the addresses' family. */
export function udp({ source, destination, ports, octets, ...more }: UdpFields): Uint8Array {
  const datagram = new Uint8Array(8 + octets).fill(0xab);
  const view = new DataView(datagram.buffer);
  view.setUint16(0, ports[0]);
  view.setUint16(2, ports[1]);
  view.setUint16(4, datagram.length);
  view.setUint16(6, 0);
  if (source.includes(":")) return ipv6(source, destination, 17, datagram, more.tos);
  const [from, to] = [IpAddress.parse(source), IpAddress.parse(destination)];
  return ipv4({ source: from, destination: to, protocol: 17, payload: datagram, ...more });
}
