import type { EncryptionAlgorithm, Endpoint, IntegrityAlgorithm, IpAddress, Prefix } from "@sallyport/base";

export type IpsecProtocol = "esp" | "ah";
export type SaMode = "tunnel" | "transport";

/** What names an SA: (SPI, destination, protocol), RFC 4301 §4.1. */
export interface SaId {
  readonly destination: IpAddress;
  readonly protocol: IpsecProtocol;
  /** 32 bits; 0 and 1–255 are never used (CORE-15). */
  readonly spi: number;
}

/** Which packets: RFC 4301 §4.4.1.1, in the form that kernels take. A range of addresses or ports becomes several of these. */
export interface Selector {
  readonly source: Prefix;
  readonly destination: Prefix;
  /** IP protocol number; 0 means any (POL-05). */
  readonly protocol: number;
  /** One port, or undefined for any; for ICMP the type and the code. */
  readonly sourcePort?: number | undefined;
  readonly destinationPort?: number | undefined;
  /** How many leading bits of the port's 16 count, 1 to 15, as in a prefix: a block of ports. Absent: all, one port. */
  readonly sourcePortBits?: number | undefined;
  readonly destinationPortBits?: number | undefined;
}

/** Soft limits announce, hard limits remove (CORE-05). Times in seconds since the SA was added, sizes in octets and packets. */
export interface SaLifetime {
  readonly softSeconds?: number;
  readonly hardSeconds?: number;
  readonly softBytes?: bigint;
  readonly hardBytes?: bigint;
  readonly softPackets?: bigint;
  readonly hardPackets?: bigint;
}

/** DF of the outer IPv4 header in tunnel mode (POL-13, RFC 4301 §8.1): as inside, always, or never. */
export type DontFragment = "copy" | "set" | "clear";

/** One unidirectional SA. Key material is owned by the data plane once handed over. */
export interface SaSpec extends SaId {
  readonly direction: "in" | "out";
  readonly source: IpAddress;
  readonly mode: SaMode;
  /** Binds the SA to the policy templates that name it. */
  readonly reqid: number;
  /** `key` holds the cipher key followed by the salt, as KEYMAT gives it (RFC 7296 §2.17, RFC 4106 §8.1). */
  readonly encryption: { readonly algorithm: EncryptionAlgorithm; readonly key: Uint8Array };
  /** Absent with an AEAD. */
  readonly integrity?: { readonly algorithm: IntegrityAlgorithm; readonly key: Uint8Array };
  readonly esn: boolean;
  /** Packets; 0 switches the check off (WIRE-04, ST-04). */
  readonly replayWindow: number;
  /** ESP in UDP (RFC 3948): the ports of the outer header. */
  readonly encapsulation?: { readonly sourcePort: number; readonly destinationPort: number };
  /** Absent: the first of `Capabilities.dontFragment`. */
  readonly dontFragment?: DontFragment;
  /** Octets that outer packets have room for on the way, where links and routers do not tell; absent: they do. Outbound only. */
  readonly pathMtu?: number;
  /**
   * `false`: the maximum segment size that TCP announces through the tunnel is left alone. Absent: lowered to what fits, in both
   * directions, as far as the machine can (CORE-20). Outbound in tunnel mode only.
   */
  readonly clampMss?: false;
  readonly lifetime: SaLifetime;
  /**
   * Octets that packets are padded to before they are sealed, as far as the path takes them (RFC 4303 §2.7), so that their sizes
   * tell nothing. Outbound in tunnel mode only; absent: none.
   */
  readonly tfc?: number;
  /** Last sequence number already used or accepted, 64 bits with ESN; for an SA that goes on elsewhere. Default 0. */
  readonly initialSequence?: bigint;
  /** Inner addresses, for transport mode and for checks on receipt. */
  readonly selectors: readonly Selector[];
}

export interface SaCounters {
  /** Octets of inner IP packets in tunnel mode, of transport payload in transport mode. */
  readonly bytes: bigint;
  readonly packets: bigint;
  readonly replayed: number;
  readonly integrityFailures: number;
  /** Packets older than the replay window. */
  readonly outOfWindow: number;
  /** Monotonic age in seconds since the SA was added, and since it last carried a packet (undefined: never). */
  readonly ageSeconds: number;
  readonly idleSeconds: number | undefined;
  /** Highest sequence number sent or accepted, 64 bits with ESN. */
  readonly sequence: bigint;
}

export interface SaState extends SaId, SaCounters {
  readonly direction: "in" | "out";
  readonly source: IpAddress;
  readonly mode: SaMode;
  readonly reqid: number;
  readonly encapsulation?: { readonly sourcePort: number; readonly destinationPort: number };
  /** Packets; what an outbound SA says here means nothing. */
  readonly replayWindow: number;
}

export type PolicyDirection = "in" | "out" | "fwd";
/** POL-01. */
export type PolicyAction = "encrypt" | "discard" | "none";
/** POL-08: `require` drops and acquires, `unique` acquires an SA of this policy alone, `use` sends in clear when there is no SA. */
export type PolicyLevel = "require" | "unique" | "use";

export interface PolicyTemplate {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly protocol: IpsecProtocol;
  readonly mode: SaMode;
  readonly reqid: number;
  readonly level: PolicyLevel;
}

/** An SPD entry, named by (direction, selector). Lower `priority` wins. */
export interface PolicySpec {
  readonly direction: PolicyDirection;
  readonly selector: Selector;
  readonly action: PolicyAction;
  readonly priority: number;
  /** Absent unless `action` is `encrypt`. */
  readonly template?: PolicyTemplate;
}

/** Traffic for `destination` has to reach the data plane: the adapter picks the device. `source` is the preferred source address. */
export interface RouteSpec {
  readonly destination: Prefix;
  readonly source?: IpAddress;
  /** The tunnel's outer far end, through which a kernel without a tunnel device routes. */
  readonly via: IpAddress;
}

/** What an earlier run left that is still alive. Its source NAT is not: connections that are under way keep their addresses. */
export interface Adopted {
  readonly sas: readonly SaState[];
  readonly policies: readonly PolicySpec[];
  readonly addresses: readonly AddressSpec[];
}

/** An address of this gateway that exists for a tunnel alone (mode config, RFC 7296 §2.19). */
export interface AddressSpec {
  readonly address: IpAddress;
  readonly prefixLength: number;
}

/**
 * Packets from `source` to `destination` leave with the address `to`, which policies then see (source NAT, FW-03). Without `to` they
 * are held back, but for those that another entry gives an address and those to networks that are hidden as well.
 */
export interface SourceNatSpec {
  readonly source: Prefix;
  readonly destination: Prefix;
  readonly to?: IpAddress;
}

export type DataPlaneEvent =
  /** A packet met an `encrypt` policy without an SA. `selector` is the packet's own (RFC 7296 §2.9). */
  | { readonly on: "acquire"; readonly reqid: number; readonly selector: Selector; readonly template: PolicyTemplate }
  | { readonly on: "expire"; readonly sa: SaId; readonly reqid: number; readonly hard: boolean }
  /** An authenticated packet came from another address or port (RFC 3948 §2.3; RFC 4555). */
  | {
      readonly on: "mapping-changed";
      readonly sa: SaId;
      readonly reqid: number;
      readonly from: Endpoint;
      readonly to: Endpoint;
    };

export interface Capabilities {
  readonly name: "kernel" | "userspace";
  /** ESP can only leave inside UDP 4500: IKE has to claim a NAT (RFC 3948 §2). */
  readonly forcesEncapsulation: boolean;
  readonly ah: boolean;
  readonly transportMode: boolean;
  /** What it can do with DF, the usual first. */
  readonly dontFragment: readonly DontFragment[];
  /** What may be asked for; whether this very machine has it, `tryAlgorithm` finds out. */
  readonly encryption: readonly EncryptionAlgorithm[];
  readonly integrity: readonly IntegrityAlgorithm[];
  readonly maxReplayWindow: number;
}

/**
 * What carries packets. Every method either has its whole effect or rejects with a `Fault` of area `dataplane/` and none;
 * a refusal of the kernel is `dataplane/refused` with the field at fault and the kernel's errno name in `value`.
 * An implementation touches only entries that it made itself, this run or – after `adopt` – an earlier one.
 */
export interface DataPlane {
  readonly capabilities: Capabilities;

  /**
   * Whether SAs with this algorithm can be added here, found out by adding one that carries nothing; asked once, then known.
   * Undefined when they can, else the reason, e.g. the kernel's errno name.
   */
  tryAlgorithm(algorithm: EncryptionAlgorithm | IntegrityAlgorithm): Promise<string | undefined>;

  /** Takes entries of an earlier run that are still alive as its own, so that a restarted agent drops no traffic. */
  adopt(): Promise<Adopted>;

  /** Reserves an SPI for a future inbound SA (XFRM_MSG_ALLOCSPI); it lapses by itself when no SA follows in 30 s. */
  allocateSpi(request: {
    source: IpAddress;
    destination: IpAddress;
    protocol: IpsecProtocol;
    mode: SaMode;
    reqid: number;
  }): Promise<number>;
  /** Adds an SA, or turns the reservation of its SPI into one. */
  installSa(sa: SaSpec): Promise<void>;
  /** Moves an SA to other outer addresses or ports without touching keys or sequence numbers. */
  moveSa(id: SaId, to: Pick<SaSpec, "source" | "destination" | "encapsulation">): Promise<void>;
  /** Resolves, too, when the SA is gone already. */
  removeSa(id: SaId): Promise<void>;
  /** Undefined when there is no such SA. */
  querySa(id: SaId): Promise<SaState | undefined>;
  listSas(): Promise<SaState[]>;

  /** Adds a policy, or replaces the one with the same direction and selector in one step. */
  installPolicy(policy: PolicySpec): Promise<void>;
  removePolicy(direction: PolicyDirection, selector: Selector): Promise<void>;
  listPolicies(): Promise<PolicySpec[]>;

  installRoute(route: RouteSpec): Promise<void>;
  removeRoute(route: RouteSpec): Promise<void>;
  installAddress(address: AddressSpec): Promise<void>;
  removeAddress(address: AddressSpec): Promise<void>;
  /** `dataplane/unsupported` where the machine has no source NAT. */
  installSourceNat(nat: SourceNatSpec): Promise<void>;
  removeSourceNat(nat: SourceNatSpec): Promise<void>;

  /** One listener; events that come before it is set are kept (bounded). */
  listen(listener: (event: DataPlaneEvent) => void): void;

  /** Counters of the whole data plane by their checklist names (STAT-01…25), e.g. `in-no-states`. */
  statistics(): Promise<Readonly<Record<string, bigint>>>;

  /** Removes this data plane's own SAs, policies, routes, addresses and source NAT and nothing else. */
  flush(): Promise<void>;
  /** Stops listening. With `keep` the entries stay and go on carrying traffic where the adapter can do that. */
  close(options: { keep: boolean }): Promise<void>;
}
