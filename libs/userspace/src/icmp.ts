import { type InnerPacket, PROTOCOL } from "./packet.js";

const IPV4_MAX = 576; // RFC 1812 §4.3.2.3
const IPV6_MAX = 1280; // RFC 4443 §2.4 (c)

/** The Internet checksum (RFC 1071) of `octets` on top of `sum`. */
function checksum(octets: Uint8Array, sum = 0): number {
  let total = sum;
  for (let i = 0; i < octets.length; i += 2) total += ((octets[i] as number) << 8) | (octets[i + 1] ?? 0);
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return ~total & 0xffff;
}

/** Errors about errors, about groups and about later fragments are never sent (RFC 1122 §3.2.2, RFC 4443 §2.4 (e)). */
function mayBeAnswered(packet: InnerPacket): boolean {
  const first = packet.destination[0] as number;
  if (packet.family === 4) {
    const echo = packet.sourcePort === 8 || packet.sourcePort === 0;
    if (packet.protocol === PROTOCOL.icmp && !echo) return false;
    return first >>> 28 < 0xe && packet.source[0] !== 0;
  }
  if (packet.protocol === PROTOCOL.icmpv6 && packet.sourcePort < 128) return false;
  return first >>> 24 !== 0xff;
}

/**
 * Tells the sender of `original` that it was too big for the tunnel (RFC 792 type 3 code 4; RFC 4443 §3.2), in the name of the
 * destination it was meant for: that address is routed into the tunnel, so the answer passes reverse path filters.
 * Undefined when no answer may be given.
 */
export function packetTooBig(packet: InnerPacket, original: Uint8Array, mtu: number): Uint8Array | undefined {
  if (!mayBeAnswered(packet)) return undefined;
  return packet.family === 4 ? fragmentationNeeded(original, mtu) : packetTooBigV6(original, mtu);
}

function fragmentationNeeded(original: Uint8Array, mtu: number): Uint8Array {
  const quoted = original.subarray(0, IPV4_MAX - 28);
  const out = new Uint8Array(28 + quoted.length);
  const view = new DataView(out.buffer);
  out[0] = 0x45;
  out[1] = 0xc0; // internetwork control, RFC 1812 §4.3.2.5
  view.setUint16(2, out.length);
  out[8] = 64;
  out[9] = PROTOCOL.icmp;
  out.set(original.subarray(16, 20), 12);
  out.set(original.subarray(12, 16), 16);
  view.setUint16(10, checksum(out.subarray(0, 20)));
  out[20] = 3;
  out[21] = 4;
  view.setUint16(26, mtu);
  out.set(quoted, 28);
  view.setUint16(22, checksum(out.subarray(20)));
  return out;
}

function packetTooBigV6(original: Uint8Array, mtu: number): Uint8Array {
  const quoted = original.subarray(0, IPV6_MAX - 48);
  const out = new Uint8Array(48 + quoted.length);
  const view = new DataView(out.buffer);
  out[0] = 0x60;
  view.setUint16(4, 8 + quoted.length);
  out[6] = PROTOCOL.icmpv6;
  out[7] = 64;
  out.set(original.subarray(24, 40), 8);
  out.set(original.subarray(8, 24), 24);
  out[40] = 2;
  view.setUint32(44, mtu);
  out.set(quoted, 48);
  const pseudo = new Uint8Array(40);
  pseudo.set(out.subarray(8, 40));
  new DataView(pseudo.buffer).setUint32(32, 8 + quoted.length);
  pseudo[39] = PROTOCOL.icmpv6;
  view.setUint16(42, checksum(out.subarray(40), 0xffff & ~checksum(pseudo)));
  return out;
}

/** Answers at most `perSecond` a second (RFC 4443 §2.4 (f)). */
export class AnswerBudget {
  #left: number;
  #filledAt = 0;

  constructor(readonly perSecond: number) {
    this.#left = perSecond;
  }

  take(now: number): boolean {
    this.#left = Math.min(this.perSecond, this.#left + ((now - this.#filledAt) / 1000) * this.perSecond);
    this.#filledAt = now;
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }
}
