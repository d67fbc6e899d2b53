import { IpAddress, Prefix } from "@sallyport/base";
import { CFG_ATTRIBUTE as A } from "./registry.js";
import type { ConfigAttribute } from "./types.js";

const NO_OCTETS = new Uint8Array(0);
const DOMAIN = /^(?=.{1,253}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/;
const MAX_VALUES = 64;

/** What configuration attributes say (RFC 7296 §3.15.1, RFC 8598 §4); in a request, what is wished for. */
export interface ConfigData {
  /** Types that are there, with a value or without. */
  readonly types: ReadonlySet<number>;
  readonly addresses: readonly IpAddress[];
  readonly dns: readonly IpAddress[];
  readonly domains: readonly string[];
  readonly subnets: readonly Prefix[];
}

/** Values that mean nothing – an all-zero address, a netmask with holes, a name that is none – are passed over. */
export function readConfig(attributes: readonly ConfigAttribute[]): ConfigData {
  const data = { types: new Set<number>(), addresses: [], dns: [], domains: [], subnets: [] } as {
    readonly types: Set<number>;
    readonly addresses: IpAddress[];
    readonly dns: IpAddress[];
    readonly domains: string[];
    readonly subnets: Prefix[];
  };
  const add = <T>(list: T[], value: T | undefined) => {
    if (value !== undefined && list.length < MAX_VALUES) list.push(value);
  };
  for (const { type, value } of attributes) {
    data.types.add(type);
    if (value.length === 0) continue;
    switch (type) {
      case A.INTERNAL_IP4_ADDRESS:
      case A.INTERNAL_IP6_ADDRESS:
        add(data.addresses, addressOf(value));
        break;
      case A.INTERNAL_IP4_DNS:
      case A.INTERNAL_IP6_DNS:
        add(data.dns, addressOf(value));
        break;
      case A.INTERNAL_DNS_DOMAIN:
        add(data.domains, domainOf(value));
        break;
      case A.INTERNAL_IP4_SUBNET:
      case A.INTERNAL_IP6_SUBNET:
        add(data.subnets, subnetOf(value));
        break;
    }
  }
  return data;
}

/** INTERNAL_IP6_ADDRESS has a prefix length behind the address. */
function addressOf(value: Uint8Array): IpAddress | undefined {
  if (value.length !== 4 && value.length !== 16 && value.length !== 17) return undefined;
  const address = IpAddress.from(value.length === 17 ? value.subarray(0, 16) : value);
  return address.isAny ? undefined : address;
}

function domainOf(value: Uint8Array): string | undefined {
  let text = "";
  for (const octet of value) text += String.fromCharCode(octet);
  text = text.toLowerCase().replace(/\.$/, "");
  return DOMAIN.test(text) ? text : undefined;
}

function subnetOf(value: Uint8Array): Prefix | undefined {
  if (value.length === 17) {
    const length = value[16] as number;
    return length <= 128 ? Prefix.of(IpAddress.from(value.subarray(0, 16)), length) : undefined;
  }
  if (value.length !== 8) return undefined;
  const mask = new DataView(value.buffer, value.byteOffset + 4, 4).getUint32(0);
  const length = mask === 0 ? 0 : Math.clz32(~mask);
  return netmask(length) === mask ? Prefix.of(IpAddress.from(value.subarray(0, 4)), length) : undefined;
}

function netmask(length: number): number {
  return length === 0 ? 0 : (0xffff_ffff << (32 - length)) >>> 0;
}

/** An attribute without a value: a wish for one. */
export function wish(type: number): ConfigAttribute {
  return { type, value: NO_OCTETS };
}

export function addressAttribute(address: IpAddress): ConfigAttribute {
  return address.family === 4
    ? { type: A.INTERNAL_IP4_ADDRESS, value: address.bytes }
    : { type: A.INTERNAL_IP6_ADDRESS, value: Uint8Array.from([...address.bytes, 128]) };
}

export function netmaskAttribute(length: number): ConfigAttribute {
  return { type: A.INTERNAL_IP4_NETMASK, value: maskOctets(length) };
}

function maskOctets(length: number): Uint8Array {
  return IpAddress.fromBigInt(4, BigInt(netmask(length))).bytes;
}

export function dnsAttribute(server: IpAddress): ConfigAttribute {
  return { type: server.family === 4 ? A.INTERNAL_IP4_DNS : A.INTERNAL_IP6_DNS, value: server.bytes };
}

export function domainAttribute(domain: string): ConfigAttribute {
  return { type: A.INTERNAL_DNS_DOMAIN, value: new TextEncoder().encode(domain) };
}

export function subnetAttribute({ address, length }: Prefix): ConfigAttribute {
  return address.family === 4
    ? { type: A.INTERNAL_IP4_SUBNET, value: Uint8Array.from([...address.bytes, ...maskOctets(length)]) }
    : { type: A.INTERNAL_IP6_SUBNET, value: Uint8Array.from([...address.bytes, length]) };
}

/** SUPPORTED_ATTRIBUTES: two octets each. */
export function supportedAttribute(types: readonly number[]): ConfigAttribute {
  return { type: A.SUPPORTED_ATTRIBUTES, value: Uint8Array.from(types.flatMap((t) => [t >> 8, t & 0xff])) };
}
