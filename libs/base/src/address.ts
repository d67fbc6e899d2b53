import ipaddr from "ipaddr.js";
import { fault } from "./faults.js";

export type Family = 4 | 6;

const BITS = { 4: 32, 6: 128 } as const;

/**
 * An IPv4 or IPv6 address: a value, compared by `equals`, printed in canonical form (RFC 5952). Kept as a number, because an
 * array of 4 octets takes six times as much memory and every SA holds several addresses.
 */
export class IpAddress {
  #text: string | undefined;

  private constructor(
    readonly family: Family,
    private readonly value: bigint,
  ) {}

  static parse(text: string, field = "address"): IpAddress {
    const strict = text.includes(":") ? ipaddr.IPv6.isValid(text) : ipaddr.IPv4.isValidFourPartDecimal(text);
    if (!strict || text.includes("%")) {
      throw fault("base/bad-address", `${field}: "${text}" is not an IP address`, {
        field,
        value: text,
        expected: "an IPv4 or IPv6 address such as 192.0.2.1 or 2001:db8::1",
      });
    }
    return IpAddress.from(Uint8Array.from(ipaddr.parse(text).toByteArray()));
  }

  /** From 4 or 16 octets, which are copied. */
  static from(bytes: Uint8Array): IpAddress {
    if (bytes.length !== 4 && bytes.length !== 16) {
      throw fault("base/bad-address", `an address has 4 or 16 octets, not ${bytes.length}`, {
        value: String(bytes.length),
        expected: "4 or 16 octets",
      });
    }
    if (bytes.length === 4) return new IpAddress(4, BigInt(v4Number(bytes)));
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    return new IpAddress(6, (view.getBigUint64(0) << 64n) | view.getBigUint64(8));
  }

  /** From a number below 2³² or 2¹²⁸; what is above is cut off. */
  static fromBigInt(family: Family, value: bigint): IpAddress {
    return new IpAddress(family, BigInt.asUintN(BITS[family], value));
  }

  static any(family: Family): IpAddress {
    return IpAddress.fromBigInt(family, 0n);
  }

  /** 4 or 16 octets, network order; made anew for each caller. */
  get bytes(): Uint8Array {
    if (this.family === 4) return v4Bytes(Number(this.value));
    const bytes = new Uint8Array(16);
    const view = new DataView(bytes.buffer);
    view.setBigUint64(0, this.value >> 64n);
    view.setBigUint64(8, BigInt.asUintN(64, this.value));
    return bytes;
  }

  toBigInt(): bigint {
    return this.value;
  }

  get isAny(): boolean {
    return this.value === 0n;
  }

  equals(other: IpAddress): boolean {
    return this.value === other.value && this.family === other.family;
  }

  toString(): string {
    this.#text ??= this.family === 4 ? v4Text(Number(this.value)) : v6Text(this.bytes);
    return this.#text;
  }

  toJSON(): string {
    return this.toString();
  }
}

function v4Number([a = 0, b = 0, c = 0, d = 0]: Uint8Array): number {
  return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
}

function v4Bytes(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  bytes[0] = value >>> 24;
  bytes[1] = value >>> 16;
  bytes[2] = value >>> 8;
  bytes[3] = value;
  return bytes;
}

function v4Text(value: number): string {
  return [value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff].join(".");
}

function v6Text(bytes: Uint8Array): string {
  return (ipaddr.fromByteArray([...bytes]) as ipaddr.IPv6).toRFC5952String();
}

/** A prefix with no host bits set, e.g. `10.1.0.0/16`. */
export class Prefix {
  private constructor(
    readonly address: IpAddress,
    readonly length: number,
  ) {}

  /** Refuses host bits (`10.1.0.1/16`): what was meant cannot be known. A bare address is a host prefix. */
  static parse(text: string, field = "prefix"): Prefix {
    const [addressText = "", lengthText, ...more] = text.split("/");
    const refuse = (expected: string) =>
      fault("base/bad-prefix", `${field}: "${text}" is not a prefix: ${expected}`, { field, value: text, expected });
    let address: IpAddress;
    try {
      address = IpAddress.parse(addressText, field);
    } catch {
      throw refuse("an IPv4 or IPv6 prefix such as 10.1.0.0/16 or 2001:db8::/32");
    }
    const bits = BITS[address.family];
    if (more.length > 0 || (lengthText !== undefined && !/^\d{1,3}$/.test(lengthText))) {
      throw refuse(`one "/" and a length of 0 to ${bits}`);
    }
    const length = lengthText === undefined ? bits : Number(lengthText);
    if (length > bits) throw refuse(`a length of 0 to ${bits}`);
    const prefix = Prefix.of(address, length);
    if (!prefix.address.equals(address)) throw refuse(`${prefix} (no host bits set)`);
    return prefix;
  }

  /** The prefix of `length` bits that holds `address`. */
  static of(address: IpAddress, length: number): Prefix {
    const host = BigInt(BITS[address.family] - length);
    return new Prefix(IpAddress.fromBigInt(address.family, (address.toBigInt() >> host) << host), length);
  }

  static any(family: Family): Prefix {
    return new Prefix(IpAddress.any(family), 0);
  }

  get family(): Family {
    return this.address.family;
  }

  get first(): IpAddress {
    return this.address;
  }

  get last(): IpAddress {
    const host = BigInt(BITS[this.family] - this.length);
    return IpAddress.fromBigInt(this.family, this.address.toBigInt() | ((1n << host) - 1n));
  }

  contains(other: IpAddress | Prefix): boolean {
    const [address, length] = other instanceof Prefix ? [other.address, other.length] : [other, BITS[other.family]];
    if (address.family !== this.family || length < this.length) return false;
    const host = BigInt(BITS[this.family] - this.length);
    return address.toBigInt() >> host === this.address.toBigInt() >> host;
  }

  overlaps(other: Prefix): boolean {
    return this.contains(other) || other.contains(this);
  }

  equals(other: Prefix): boolean {
    return this.length === other.length && this.address.equals(other.address);
  }

  toString(): string {
    return `${this.address}/${this.length}`;
  }

  toJSON(): string {
    return this.toString();
  }
}

/** The fewest prefixes that cover `first`…`last` exactly (both inclusive, one family). */
export function rangeToPrefixes(first: IpAddress, last: IpAddress): Prefix[] {
  const bits = BITS[first.family];
  const out: Prefix[] = [];
  const end = last.toBigInt();
  for (let at = first.toBigInt(); at <= end; ) {
    let host = 0;
    while (host < bits && (at & (1n << BigInt(host))) === 0n && at + (1n << BigInt(host + 1)) - 1n <= end) host++;
    out.push(Prefix.of(IpAddress.fromBigInt(first.family, at), bits - host));
    at += 1n << BigInt(host);
  }
  return out;
}

/** An address with a UDP port. */
export interface Endpoint {
  readonly address: IpAddress;
  readonly port: number;
}

export function endpointText(e: Endpoint): string {
  return e.address.family === 6 ? `[${e.address}]:${e.port}` : `${e.address}:${e.port}`;
}
