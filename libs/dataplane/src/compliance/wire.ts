import assert from "node:assert/strict";

/** Outer headers of captured packets. */
export interface OuterPacket {
  readonly packet: Uint8Array;
  readonly version: 4 | 6;
  readonly protocol: number;
  /** Where ESP or AH begins, behind UDP if that is what the packet has; undefined when it has neither. */
  readonly ipsecAt: number | undefined;
  readonly spi: number | undefined;
  readonly udp: { readonly at: number; readonly sourcePort: number; readonly destinationPort: number } | undefined;
}

const UDP = 17;
const ESP = 50;
const AH = 51;
const NAT_PORT = 4500;

export function parseOuter(packet: Uint8Array): OuterPacket {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  const version = view.getUint8(0) >> 4 === 4 ? 4 : 6;
  const header = version === 4 ? (view.getUint8(0) & 15) * 4 : 40;
  const protocol = view.getUint8(version === 4 ? 9 : 6);
  const udp =
    protocol === UDP && packet.length >= header + 8
      ? { at: header, sourcePort: view.getUint16(header), destinationPort: view.getUint16(header + 2) }
      : undefined;
  const wrapped = udp && (udp.destinationPort === NAT_PORT || udp.sourcePort === NAT_PORT);
  const ipsecAt = protocol === ESP || protocol === AH ? header : wrapped ? header + 8 : undefined;
  const spiAt = ipsecAt === undefined ? undefined : ipsecAt + (protocol === AH ? 4 : 0);
  const spi = spiAt === undefined || packet.length < spiAt + 8 ? undefined : view.getUint32(spiAt);
  // Zero is the non-ESP marker: IKE.
  return { packet, version, protocol, ipsecAt, spi: spi === 0 ? undefined : spi, udp };
}

/** What was captured of one SA, in order. */
export function ofSa(packets: readonly Uint8Array[], spi: number): OuterPacket[] {
  return packets.map(parseOuter).filter((packet) => packet.spi === spi);
}

/** Refuses captured packets that carry the echo's UDP in the clear. */
export function assertNothingClear(packets: readonly Uint8Array[]): void {
  const clear = packets.map(parseOuter).filter((packet) => packet.udp && packet.ipsecAt === undefined);
  assert.equal(clear.length, 0, `${clear.length} packets crossed the wire in the clear`);
}

/** A copy with one bit turned over, counted from the end. */
export function tampered(packet: Uint8Array, fromEnd = 1): Uint8Array {
  const copy = Uint8Array.from(packet);
  const at = copy.length - fromEnd;
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}

/** A copy that came from another UDP port, as a NAT would make it; without a checksum (RFC 768, RFC 3948 §2.1). */
export function fromPort(outer: OuterPacket, port: number): Uint8Array {
  assert.ok(outer.udp, "not in UDP");
  const copy = Uint8Array.from(outer.packet);
  const view = new DataView(copy.buffer);
  view.setUint16(outer.udp.at, port);
  view.setUint16(outer.udp.at + 6, 0);
  return copy;
}
