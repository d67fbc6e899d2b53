import type { IpAddress, Prefix } from "@sallyport/base";
import type { Identity } from "./identities.js";

/** Addresses `first`…`last`, both inclusive, of one family. */
export interface AddressRange {
  readonly first: IpAddress;
  readonly last: IpAddress;
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
}

/** How a responder answers CFG_REQUEST (RFC 7296 §2.19). */
export interface ModeConfig extends AddressingFacts {
  /** An initiator that asks for no address gets FAILED_CP_REQUIRED and no CHILD SA. */
  readonly required: boolean;
  /** Told as INTERNAL_IP4_NETMASK (MC-01); absent: no netmask is told. */
  readonly prefixLength?: number;
  readonly users: readonly UserModeConfig[];
}

/** What an initiator asks for by CFG_REQUEST. A child without local selectors gets the address that was given (RFC 7296 §2.19). */
export interface AddressRequest {
  /** Families of which an address is wanted; the CHILD SA comes up when one of them is given. */
  readonly families: readonly (4 | 6)[];
  readonly dns: boolean;
  /** Networks whose packets leave with the address that was given (MC-05). */
  readonly hides: readonly Prefix[];
}
