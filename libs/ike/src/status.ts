import type { Endpoint, IpAddress, Prefix } from "@sallyport/base";
import type { PolicyAction, PolicyLevel, SaMode } from "@sallyport/dataplane";
import type { TrafficRange } from "./config.js";

/** Why something is not as configured, with both sides' values where two sides disagree. */
export interface LastError {
  /** `ike/…` of this library, or the code of the runner's or data plane's `Fault`. */
  readonly code: string;
  readonly message: string;
  readonly ours?: string | undefined;
  readonly theirs?: string | undefined;
  /** `IKE_SA_INIT`, `IKE_AUTH`, `CREATE_CHILD_SA`, `INFORMATIONAL`, or "" when no exchange was under way. */
  readonly exchange: string;
  /** Milliseconds, the engine's clock. */
  readonly at: number;
}

export type IkeState = "connecting" | "established" | "rekeying" | "rekeyed" | "deleting";
export type ChildState = "installing" | "installed" | "rekeying" | "rekeyed" | "deleting";

export interface ChildStatus {
  /** `ChildConfig.id`. */
  readonly child: string;
  readonly name: string;
  /** Unique within the engine. */
  readonly serial: number;
  readonly state: ChildState;
  readonly mode: SaMode;
  readonly spiIn: number;
  readonly spiOut: number;
  readonly reqid: number;
  /** e.g. `AES_GCM_16_256/X25519/NO_ESN`. */
  readonly suite: string;
  readonly local: readonly TrafficRange[];
  readonly remote: readonly TrafficRange[];
  readonly encapsulated: boolean;
  readonly establishedAt: number;
  readonly rekeyAt: number | undefined;
  readonly expireAt: number | undefined;
}

/** What the configuration payload gave (RFC 7296 §2.19): addresses of this end or of the peer, and what was told with them. */
export interface VirtualAddresses {
  readonly local: readonly IpAddress[];
  readonly remote: readonly IpAddress[];
  readonly dns: readonly IpAddress[];
  readonly domains: readonly string[];
  readonly subnets: readonly Prefix[];
}

export interface IkeStatus {
  /** `PeerConfig.id`; undefined while a responder does not know yet who the initiator is. */
  readonly peer: string | undefined;
  readonly name: string;
  readonly serial: number;
  readonly state: IkeState;
  readonly initiator: boolean;
  /** 16 hexadecimal digits. */
  readonly spiInitiator: string;
  readonly spiResponder: string;
  readonly local: Endpoint;
  readonly remote: Endpoint;
  /** Text of the identities, undefined until authenticated. */
  readonly localId: string | undefined;
  readonly remoteId: string | undefined;
  /** Subject of the peer's certificate. */
  readonly remoteCertificate: string | undefined;
  /** SHA-256 of the certificates by which the peer has proved itself, lower-case hex; absent: by none. */
  readonly certificates?: readonly string[] | undefined;
  /** Whom EAP has authenticated at this end, or whose certificate it is when the peer names itself by the subject. */
  readonly user?: string | undefined;
  /** Name of the pre-shared key that the peer proved itself by in its first round, while the configuration names that (`RemoteAuth.keyIds`). */
  readonly keyId?: string | undefined;
  /** Id of the post-quantum preshared key that is in its keys (RFC 8784). */
  readonly ppk?: string | undefined;
  /** e.g. `AES_GCM_16_256/PRF_HMAC_SHA2_256/X25519`. */
  readonly suite: string;
  readonly nat: { readonly local: boolean; readonly remote: boolean; readonly forced: boolean };
  /** What the configuration payload gave to this end or to the peer. */
  readonly virtual: VirtualAddresses | undefined;
  readonly establishedAt: number | undefined;
  readonly rekeyAt: number | undefined;
  readonly expireAt: number | undefined;
  /** When the last authenticated message came. */
  readonly lastSeenAt: number | undefined;
  readonly children: readonly ChildStatus[];
}

export interface PeerStatus {
  readonly peer: string;
  readonly name: string;
  readonly sas: readonly IkeStatus[];
  readonly lastError: LastError | undefined;
  /** Of children that are configured and not up. */
  readonly childErrors: Readonly<Record<string, LastError>>;
  /** Next attempt to initiate, when one is waited for. */
  readonly retryAt: number | undefined;
}

/** One entry of the ordered list of policies: a shunt, what a child is configured for, or what a peer narrowed it to (POL-15). */
export interface PolicyStatus {
  /** `ShuntConfig.id`, `ChildConfig.id`. */
  readonly id: string;
  readonly name: string;
  /** `PeerConfig.id`; undefined for a shunt. */
  readonly peer: string | undefined;
  readonly action: PolicyAction;
  readonly level: PolicyLevel | undefined;
  readonly priority: number;
  readonly local: readonly TrafficRange[];
  readonly remote: readonly TrafficRange[];
  /** Made by a negotiation, narrower than configured, and gone with its SAs. */
  readonly dynamic: boolean;
  /** In force: packets meet it, with an SA or without one (a trap). */
  readonly active: boolean;
  /** Another policy for the very same packets stands before it. */
  readonly invalid: boolean;
  /** CHILD SAs, and the state of the newest: `expired` says that it is on its way out. */
  readonly sas: number;
  readonly state: "no-phase2" | "established" | "expired";
}

/** Why an SA ended. */
export type DownReason =
  | "deleted-by-peer"
  | "deleted-locally"
  | "peer-dead"
  | "expired"
  | "replaced"
  /** Another IKE SA with the same peer follows, with a new proof of who it is (RFC 7296 §2.8.3). */
  | "reauthentication"
  | "config-changed"
  /** What the peer proved itself by is not accepted any more: revoked, or taken back by a new configuration. */
  | "distrusted"
  | "failed";

interface About {
  /** `PeerConfig.id`, undefined while unknown. */
  readonly peer: string | undefined;
  readonly at: number;
}
interface MayRefuse extends About {
  /** Set when it is this end that refuses: whom, as he was authenticated or as he calls himself. */
  readonly refused?: string | undefined;
}
interface OfIke extends About {
  readonly ike: IkeStatus;
}
interface OfChild extends OfIke {
  readonly child: ChildStatus;
}

export type IkeEvent =
  | ({ readonly event: "ike-up" } & OfIke)
  | ({ readonly event: "ike-rekeyed"; readonly replaces: number } & OfIke)
  | ({ readonly event: "ike-down"; readonly reason: DownReason } & OfIke)
  | ({ readonly event: "child-up" } & OfChild)
  | ({ readonly event: "child-rekeyed"; readonly replaces: number } & OfChild)
  | ({ readonly event: "child-down"; readonly reason: DownReason } & OfChild)
  /** The peer's address or port changed (NAT rebinding, RFC 4555). */
  | ({ readonly event: "peer-moved"; readonly from: Endpoint } & OfIke)
  /** This end's address or port changed (RFC 4555). */
  | ({ readonly event: "moved"; readonly from: Endpoint } & OfIke)
  /** `child` is set when the IKE SA stands and only this CHILD SA failed. */
  | ({
      readonly event: "negotiation-failed";
      readonly child: string | undefined;
      readonly remote: Endpoint;
      readonly error: LastError;
    } & MayRefuse)
  | ({ readonly event: "auth-failed"; readonly remote: Endpoint; readonly error: LastError } & MayRefuse)
  /** The peer asked for an address by name that is not for it; it gets another one, if there is any. */
  | ({ readonly event: "address-refused"; readonly remote: Endpoint; readonly error: LastError } & MayRefuse)
  | ({ readonly event: "peer-dead"; readonly remote: Endpoint } & About)
  | ({
      readonly event: "retrying";
      readonly remote: Endpoint;
      readonly tries: number;
      readonly retryAt: number;
    } & About)
  /** Cookies are now (no longer) demanded. */
  | {
      readonly event: "under-load";
      readonly peer: undefined;
      readonly at: number;
      readonly halfOpen: number;
      readonly cookies: boolean;
    }
  /**
   * An exception that is no `Fault`, that is a defect of this library, lost an input; the state is that from before it. At most
   * one a second is told, the counter `internal-error` has them all.
   */
  | {
      readonly event: "internal-error";
      readonly peer: undefined;
      readonly at: number;
      /** Name of the exception's class, e.g. `TypeError`. */
      readonly code: string;
      readonly message: string;
      /** `Input["on"]`. */
      readonly input: string;
    };

/** What was refused to somebody who had not been authenticated, so that it tells nothing sure about a peer. */
export interface Refusal {
  /** Whom it could have been, when there is only one such peer. */
  readonly peer: string | undefined;
  readonly remote: Endpoint;
  readonly error: LastError;
}

/** Counted, never thrown: what was refused, by reason. */
export type Counters = Readonly<Record<string, number>>;

/** How full a pool of addresses is. */
export interface PoolStatus {
  readonly pool: string;
  readonly size: number;
  /** Held by IKE SAs or reserved for users. */
  readonly taken: number;
}

/** What `IkeEngine.status()` gives. */
export interface EngineStatus {
  readonly peers: readonly PeerStatus[];
  /** Responder SAs whose peer is not known yet. */
  readonly unknown: readonly IkeStatus[];
  /** The last ones, newest last. */
  readonly refusals: readonly Refusal[];
  readonly halfOpen: number;
  readonly pools: readonly PoolStatus[];
  readonly counters: Counters;
}
