import { type Family, IpAddress, Prefix } from "@sallyport/base";
import type { Selector } from "@sallyport/dataplane";
import type { InnerPacket } from "./packet.js";

/** An address as four 32-bit words, IPv4 in the first. */
export function addressWords(address: IpAddress): Uint32Array {
  const words = new Uint32Array(4);
  const value = address.toBigInt();
  if (address.family === 4) words[0] = Number(value);
  else for (let word = 0; word < 4; word++) words[word] = Number(BigInt.asUintN(32, value >> BigInt(96 - 32 * word)));
  return words;
}

/** The address in four words from `at`. */
export function addressOf(family: Family, words: ArrayLike<number>, at = 0): IpAddress {
  if (family === 4) return IpAddress.fromBigInt(4, BigInt(words[at] as number));
  let value = 0n;
  for (let word = 0; word < 4; word++) value = (value << 32n) | BigInt(words[at + word] as number);
  return IpAddress.fromBigInt(6, value);
}

/** The mask of a prefix length, as words. */
export function maskWords(length: number): Uint32Array {
  return Uint32Array.from({ length: 4 }, (_, word) => {
    const bits = Math.min(32, Math.max(0, length - word * 32));
    return bits === 0 ? 0 : -1 << (32 - bits);
  });
}

/** A prefix made ready for matching addresses of its family. */
export class PrefixWords {
  readonly #address: Uint32Array;
  readonly #mask: Uint32Array;

  constructor(prefix: Prefix) {
    this.#address = addressWords(prefix.address);
    this.#mask = maskWords(prefix.length);
  }

  holds(words: Uint32Array, family: Family): boolean {
    const count = family === 4 ? 1 : 4;
    for (let word = 0; word < count; word++) {
      if ((((words[word] as number) ^ (this.#address[word] as number)) & (this.#mask[word] as number)) !== 0)
        return false;
    }
    return true;
  }
}

/** A selector made ready for matching packets. */
export class SelectorMatch {
  readonly #family: Family;
  readonly #source: PrefixWords;
  readonly #destination: PrefixWords;
  readonly #sourceShift: number;
  readonly #destinationShift: number;

  constructor(readonly selector: Selector) {
    this.#family = selector.source.family;
    this.#source = new PrefixWords(selector.source);
    this.#destination = new PrefixWords(selector.destination);
    this.#sourceShift = 16 - (selector.sourcePortBits ?? 16);
    this.#destinationShift = 16 - (selector.destinationPortBits ?? 16);
  }

  matches(packet: InnerPacket): boolean {
    return (
      packet.family === this.#family &&
      this.#source.holds(packet.source, packet.family) &&
      this.#destination.holds(packet.destination, packet.family) &&
      this.matchesUpper(packet)
    );
  }

  /** Protocol and ports alone. A fragment that shows no port matches only a selector for any (RFC 4301 §7.1). */
  matchesUpper(packet: InnerPacket): boolean {
    const { protocol, sourcePort, destinationPort } = this.selector;
    return (
      (protocol === 0 || protocol === packet.protocol) &&
      (sourcePort === undefined || sourcePort >> this.#sourceShift === packet.sourcePort >> this.#sourceShift) &&
      (destinationPort === undefined ||
        destinationPort >> this.#destinationShift === packet.destinationPort >> this.#destinationShift)
    );
  }
}

const ready = new WeakMap<Selector, SelectorMatch>();

/** The selector made ready, once for all SAs that share it. */
export function matchOf(selector: Selector): SelectorMatch {
  let match = ready.get(selector);
  if (!match) {
    match = new SelectorMatch(selector);
    ready.set(selector, match);
  }
  return match;
}

/** The selector of this packet alone, as an acquire reports it (RFC 7296 §2.9). */
export function selectorOf(packet: InnerPacket): Selector {
  const host = (words: Uint32Array) => Prefix.of(addressOf(packet.family, words), packet.family === 4 ? 32 : 128);
  return {
    source: host(packet.source),
    destination: host(packet.destination),
    protocol: packet.protocol,
    ...(packet.sourcePort >= 0 && { sourcePort: packet.sourcePort, destinationPort: packet.destinationPort }),
  };
}

/** Names a selector: equal text for equal selectors. */
export function selectorKey(s: Selector): string {
  const from = `${s.sourcePort ?? "*"}/${s.sourcePortBits ?? 16}`;
  return `${s.source} ${s.destination} ${s.protocol} ${from} ${s.destinationPort ?? "*"}/${s.destinationPortBits ?? 16}`;
}
