import type { Endpoint, Family, IpAddress } from "@sallyport/base";

/**
 * A batch is a slab of packet memory and one record of `META_WORDS` 32-bit words a packet. The same pair is filled by a
 * read and taken by a write, so that a packet can be transformed in place and sent on without a copy: move `offset` and
 * `length`, set the address words, hand the slab to the other device.
 */
export const META_WORDS = 16;

/** Word numbers within a packet's record. Addresses are one (IPv4) or four (IPv6) words, each the number of its network-order octets. */
export const META = {
  /** Where the packet starts in the slab, in octets. */
  offset: 0,
  /** Its length in octets. */
  length: 1,
  /** Bit 0: the datagram was longer than the slot and was cut. */
  flags: 2,
  /** 4 or 6; family of the far end (UDP) or of the packet's version nibble (TUN). */
  family: 3,
  /** UDP: the far end's port. */
  port: 4,
  /** UDP: the far end's address, words 5 to 8. */
  address: 5,
  /** UDP: our own address, words 9 to 12. On sending, zero leaves the choice to the kernel. */
  local: 9,
  /** UDP: interface index. On sending, 0 leaves the choice to the routing table. */
  interface: 13,
  /** UDP: TOS octet or traffic class of the outer header (RFC 3168 §9.1.2). On sending it is used as it stands. */
  tos: 14,
  /** Not used by the devices: free for whoever transforms the batch. */
  user: 15,
} as const;

export const META_FLAG_TRUNCATED = 1;

/** Called with the packets of one read. Slab and records are used again after it returns: what is kept has to be copied. */
export type BatchListener = (slab: Buffer, meta: Uint32Array, count: number) => void;

export interface BatchOptions {
  /** Packets a read can bring. Default 32. */
  readonly slots?: number;
  /** Octets a slot, headroom included; a longer datagram is cut and flagged. Default 2048 for TUN, 65536 for UDP. */
  readonly slotBytes?: number;
  /** Octets left free in front of each packet. Default 0. */
  readonly headroom?: number;
}

export interface UdpSocketOptions extends BatchOptions {
  /** Where to bind; the any-address of its family binds to all. Port 0 lets the kernel choose. */
  readonly local: Endpoint;
  /** Octets of SO_RCVBUF and SO_SNDBUF, beyond the system's limit when the process may (SO_RCVBUFFORCE). */
  readonly receiveBufferBytes?: number;
  readonly sendBufferBytes?: number;
  /** SO_BINDTODEVICE. */
  readonly device?: string;
  /** SO_REUSEADDR, for binding one port on several addresses. */
  readonly reuseAddress?: boolean;
  readonly reusePort?: boolean;
  /** IP_MTU_DISCOVER: `do` sets DF and refuses what is longer than the path MTU, `probe` sets DF only, `dont` fragments. */
  readonly mtuDiscovery?: "do" | "probe" | "dont" | "want";
  /** IP_RECVERR: ICMP errors are handed to `onIcmp` (the error queue). */
  readonly icmpErrors?: boolean;
  /** SO_MARK. */
  readonly mark?: number;
}

export interface Datagram {
  readonly data: Uint8Array;
  readonly from: Endpoint;
  /** The address that the datagram was sent to. */
  readonly to: IpAddress;
  readonly interfaceIndex: number;
  readonly tos: number;
  readonly truncated: boolean;
}

export interface OutgoingDatagram {
  readonly data: Uint8Array;
  readonly to: Endpoint;
  /** Our source address; the kernel chooses when absent. */
  readonly from?: IpAddress | undefined;
  readonly tos?: number;
}

/** An ICMP error that answered a datagram of ours, or a local one (`code` 0, `type` 0) such as EMSGSIZE. */
export interface IcmpError {
  readonly destination: Endpoint;
  readonly errno: string;
  readonly type: number;
  readonly code: number;
  /** Path MTU in octets when the error told one (ICMP fragmentation needed, ICMPv6 packet too big). */
  readonly mtu: number | undefined;
  readonly offender: IpAddress | undefined;
}

export interface TunOptions extends BatchOptions {
  /** `%d` takes the next free number. */
  readonly name: string;
  /** Octets; set through rtnetlink after opening. */
  readonly mtu?: number;
  /** Opens one queue of a multi-queue device. */
  readonly multiQueue?: boolean;
}

export interface LinkInfo {
  readonly index: number;
  readonly name: string;
  readonly mtu: number;
  readonly up: boolean;
}

export interface AddressInfo {
  readonly interfaceIndex: number;
  readonly family: Family;
  readonly address: IpAddress;
  readonly prefixLength: number;
}
