import { type Family, IpAddress, Prefix } from "@sallyport/base";
import type { IpsecProtocol, SaId, Selector } from "@sallyport/dataplane";
import { AF, type NetlinkReader, type NetlinkWriter } from "@sallyport/linux-io";
import { IPPROTO } from "./constants.js";

export const familyNumber = (family: Family): number => (family === 4 ? AF.inet : AF.inet6);

/** xfrm_address_t: 16 octets, IPv4 in the first four. */
export function writeAddress(writer: NetlinkWriter, address: IpAddress | undefined): void {
  const bytes = address?.bytes ?? new Uint8Array(0);
  writer.bytes(bytes).zero(16 - bytes.length);
}

/** Octets whose family is told only later in the structure. */
export function addressFrom(bytes: Uint8Array, family: number): IpAddress {
  return IpAddress.from(family === AF.inet ? bytes.subarray(0, 4) : bytes.subarray(0, 16));
}

export const protocolFrom = (number: number): IpsecProtocol => (number === IPPROTO.ah ? "ah" : "esp");

const portMask = (bits: number): number => (0xffff << (16 - bits)) & 0xffff;

/** struct xfrm_selector. Undefined matches every packet of both families. */
export function writeSelector(writer: NetlinkWriter, selector: Selector | undefined, user: number): void {
  if (!selector) {
    writer.zero(52).u32(user);
    return;
  }
  const port = (value: number | undefined, bits = 16) =>
    writer.be16(value ?? 0).be16(value === undefined ? 0 : portMask(bits));
  writeAddress(writer, selector.destination.address);
  writeAddress(writer, selector.source.address);
  port(selector.destinationPort, selector.destinationPortBits);
  port(selector.sourcePort, selector.sourcePortBits);
  writer.u16(familyNumber(selector.source.family)).u8(selector.destination.length).u8(selector.source.length);
  writer.u8(selector.protocol).zero(3).u32(0).u32(user);
}

export interface OwnedSelector {
  /** Undefined when it matches both families. */
  readonly selector: Selector | undefined;
  readonly user: number;
}

export function readSelector(reader: NetlinkReader): OwnedSelector {
  const destination = reader.bytes(16, "daddr");
  const source = reader.bytes(16, "saddr");
  const port = (field: string) => {
    const value = reader.be16(field);
    const bits = 16 - Math.log2(0x10000 - reader.be16(`${field} mask`));
    return { value: bits === 0 ? undefined : value, bits: bits === 0 || bits === 16 ? undefined : bits };
  };
  const to = port("dport");
  const from = port("sport");
  const family = reader.u16("family");
  const destinationLength = reader.u8("prefixlen_d");
  const sourceLength = reader.u8("prefixlen_s");
  const protocol = reader.u8("proto");
  const user = reader.skip(7).u32("user");
  if (family !== AF.inet && family !== AF.inet6) return { selector: undefined, user };
  return {
    user,
    selector: {
      source: Prefix.of(addressFrom(source, family), sourceLength),
      destination: Prefix.of(addressFrom(destination, family), destinationLength),
      protocol,
      ...(from.value === undefined ? {} : { sourcePort: from.value }),
      ...(to.value === undefined ? {} : { destinationPort: to.value }),
      ...(from.bits === undefined ? {} : { sourcePortBits: from.bits }),
      ...(to.bits === undefined ? {} : { destinationPortBits: to.bits }),
    },
  };
}

/** struct xfrm_id: destination, SPI, protocol. */
export function writeId(writer: NetlinkWriter, id: SaId): void {
  writeAddress(writer, id.destination);
  writer.be32(id.spi).u8(IPPROTO[id.protocol]).zero(3);
}

/** struct xfrm_usersa_id. */
export function writeSaId(writer: NetlinkWriter, id: SaId): void {
  writeAddress(writer, id.destination);
  writer.be32(id.spi).u16(familyNumber(id.destination.family)).u8(IPPROTO[id.protocol]).zero(1);
}

export function readSaId(reader: NetlinkReader): SaId {
  const destination = reader.bytes(16, "daddr");
  const spi = reader.be32("spi");
  const family = reader.u16("family");
  const protocol = protocolFrom(reader.u8("proto"));
  reader.skip(1);
  return { destination: addressFrom(destination, family), spi, protocol };
}
