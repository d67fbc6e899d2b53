import type { IpAddress, Prefix } from "@sallyport/base";
import type { Identity } from "./identities.js";

/** Addresses `first`…`last`, both inclusive, of one family. */
export interface AddressRange {
  readonly first: IpAddress;
  readonly last: IpAddress;
}

/** A set of packets: addresses `first`…`last` of one family, ports `firstPort`…`lastPort`, `protocol` 0 for any (RFC 7296 §3.13.1). */
export interface TrafficRange {
  readonly first: IpAddress;
  readonly last: IpAddress;
  readonly protocol: number;
  readonly firstPort: number;
  readonly lastPort: number;
}

/**
 * Addresses that road warriors are given, all of one family; ranges do not overlap. Of more than 2^32 addresses the first 2^32
 * are used. What users have for themselves (`UserModeConfig.addresses`) is given to nobody else.
 */
export interface AddressPool {
  readonly id: string;
  readonly ranges: readonly AddressRange[];
}

/** What a peer is told with its address (RFC 7296 §3.15.1). */
export interface AddressingFacts {
  /** Ids of pools in order of preference; each family is served from the first that has an address left. */
  readonly pools: readonly string[];
  readonly dns: readonly IpAddress[];
  /** INTERNAL_DNS_DOMAIN (RFC 8598): what is asked of `dns`; told to peers that ask for it. */
  readonly domains: readonly string[];
  /** INTERNAL_IP4_SUBNET and INTERNAL_IP6_SUBNET: the networks behind this end. A hint, no protection (MC-08). */
  readonly subnets: readonly Prefix[];
}

/** What is different for one identity (IDENT-14); absent fields are those of everybody. */
export interface UserModeConfig extends Partial<AddressingFacts> {
  readonly identity: Identity;
  /** Its own, at most one of each family; a family without one is served from the pools. */
  readonly addresses?: readonly IpAddress[];
  /** What of the children's local selectors it reaches; absent: all. A CHILD SA that reaches further ends when this becomes less. */
  readonly reach?: readonly TrafficRange[];
  /** IKE SAs at once, where uniqueness is `keep`; absent: `PeerConfig.sasPerIdentity`. */
  readonly sas?: number;
}

/** How a responder answers CFG_REQUEST (RFC 7296 §2.19). */
export interface ModeConfig extends AddressingFacts {
  /** An initiator that asks for no address gets FAILED_CP_REQUIRED and no CHILD SA. */
  readonly required: boolean;
  /** Told as INTERNAL_IP4_NETMASK (MC-01); absent: no netmask is told. */
  readonly prefixLength?: number;
  readonly users: readonly UserModeConfig[];
  /** Whether nobody but `users` gets in, whatever he proves; absent: no. Who is taken off the list is out at once. */
  readonly onlyUsers?: boolean;
  /**
   * Peers with the same one are for the same people, who prove themselves to each in another way: the IKE SAs of one identity count
   * together, over all of them (`uniqueness`, `sasPerIdentity`, INITIAL_CONTACT). Absent: this peer alone.
   */
  readonly people?: string;
}

/** What an initiator asks for by CFG_REQUEST. A child without local selectors gets the address that was given (RFC 7296 §2.19). */
export interface AddressRequest {
  /** Families of which an address is wanted; the CHILD SA comes up when one of them is given. */
  readonly families: readonly (4 | 6)[];
  readonly dns: boolean;
  /** Networks whose packets leave with the address that was given (MC-05). */
  readonly hides: readonly Prefix[];
}
