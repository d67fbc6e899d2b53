import {
  type EncryptionAlgorithm,
  type Endpoint,
  type IntegrityAlgorithm,
  type IpAddress,
  Prefix,
} from "@sallyport/base";
import type { DontFragment, PolicyAction, PolicyLevel, SaMode } from "@sallyport/dataplane";
import type { AddressPool, AddressRequest, ModeConfig, TrafficRange } from "./addressing.js";
import type { DhGroup, KeyKind, PrfAlgorithm, SignatureName } from "./crypto/types.js";
import type { EapMethod } from "./eap/methods.js";
import type { Identity, IdentityMatch } from "./identities.js";

export type * from "./addressing.js";
export type * from "./identities.js";

/** An encryption algorithm at one key size; `keyBits` without salt, as ENCRYPTION of libs/base lists them. */
export interface CipherChoice {
  readonly algorithm: EncryptionAlgorithm;
  readonly keyBits: number;
}

/**
 * One IKE proposal (RFC 7296 §3.3): every list is in order of preference. `integrity` is empty exactly when every cipher is an
 * AEAD (RFC 5282 §8); AEAD and other ciphers go into separate proposals.
 */
export interface IkeProposal {
  readonly encryption: readonly CipherChoice[];
  readonly integrity: readonly IntegrityAlgorithm[];
  readonly prf: readonly PrfAlgorithm[];
  readonly dh: readonly DhGroup[];
}

/** One ESP proposal. `pfs` empty: rekeys without a Diffie-Hellman exchange. */
export interface EspProposal {
  readonly encryption: readonly CipherChoice[];
  readonly integrity: readonly IntegrityAlgorithm[];
  readonly pfs: readonly DhGroup[];
  /** Extended sequence numbers or not, in order of preference (RFC 7296 §3.3.2). */
  readonly esn: readonly boolean[];
}

/** A certificate of this end. */
export interface CertificateCredential {
  /** Names the private key for the runner; the engine never sees it. */
  readonly key: string;
  readonly keyKind: KeyKind;
  /** DER, end entity first, without the trust anchor. */
  readonly chain: readonly Uint8Array[];
  /** SHA-1 of the SubjectPublicKeyInfo of the CAs above it, the anchor included: what a CERTREQ names (RFC 7296 §3.7). */
  readonly authorities?: readonly Uint8Array[];
  /** What it proves: a subjectAltName, else the subject (IDENT-08). Wanted where the identity is `auto`. */
  readonly subject?: Identity;
}

/** At least one. */
export type NonEmpty<T> = readonly [T, ...T[]];

/**
 * How this end proves itself in one round. `identity: "auto"` (IDENT-08) is the local address with a PSK, what the certificate
 * proves with certificates. Of several certificates the first one is shown that the peer's certificate requests allow.
 */
export type LocalAuth =
  | { readonly method: "psk"; readonly identity: Identity | "auto"; readonly secret: Uint8Array }
  | {
      readonly method: "certificate";
      readonly identity: Identity | "auto";
      readonly credentials: NonEmpty<CertificateCredential>;
      /** In order of preference; absent: what suits the key, RFC 7427 first. */
      readonly signatures?: readonly SignatureName[] | undefined;
    }
  /** As initiator: who this end is to EAP. As responder without `eap`: the EAP method of the peer's round proves both (RFC 5998). */
  | { readonly method: "eap"; readonly identity: Identity | "auto"; readonly eap?: EapPeerConfig | undefined };

/** A trust anchor: `ref` names it for the runner, `keyHash` is SHA-1 of its SubjectPublicKeyInfo (RFC 7296 §3.7). */
export interface TrustAnchor {
  readonly ref: string;
  readonly keyHash: Uint8Array;
}

/** What proof this end takes from the peer in one round. Several secrets are accepted at once so that a PSK can be rotated. */
export type RemoteAuth =
  | {
      readonly method: "psk";
      readonly identity: IdentityMatch;
      readonly secrets: readonly Uint8Array[];
      /** Names of `secrets`, in their order: what `IkeStatus.keyId` tells. */
      readonly keyIds?: readonly string[] | undefined;
    }
  | {
      readonly method: "certificate";
      readonly identity: IdentityMatch;
      readonly trust: readonly TrustAnchor[];
      /**
       * SHA-256 of the DER of certificates, one of which the peer has to show (IDENT-06); who signed it does not matter then, nor
       * which names it has.
       */
      readonly pinned?: readonly Uint8Array[] | undefined;
      /** Signatures that are taken; absent: all. */
      readonly signatures?: readonly SignatureName[] | undefined;
    }
  | {
      readonly method: "eap";
      readonly identity: IdentityMatch;
      /** As responder: how EAP is served. As initiator without it: the EAP method of our own round proves the peer too (RFC 5998). */
      readonly eap?: EapServerConfig | undefined;
      /** Whom EAP has to authenticate: a name, `*`, or a `*` followed by the end of it; any user unless said (IDENT-14). */
      readonly user?: string | undefined;
      /** Whether EAP has to authenticate the very name that every round before has proved. */
      readonly samePerson?: boolean | undefined;
    };

/** A password as octets (UTF-8), of which an empty one never matches; or the 16 octets that EAP-MSCHAPv2 alone verifies by (RFC 2759 §8.3). */
export type EapSecret = Uint8Array | { readonly ntHash: Uint8Array };

/** Secrets by user name. */
export type EapUsers = ReadonlyMap<string, EapSecret>;

export type TlsVersion = "1.2" | "1.3";

/** What EAP-TLS needs at either end; certificates are DER. */
export interface EapTlsSettings {
  /** Names the private key for the runner, as `LocalAuth.key` does. */
  readonly key: string;
  /** End entity first, without the trust anchor. */
  readonly chain: readonly Uint8Array[];
  readonly trust: readonly TrustAnchor[];
  readonly versions: { readonly min: TlsVersion; readonly max: TlsVersion };
}

/** The server's side of EAP: RFC 3748 calls it the authenticator with its backend. */
export interface EapServerConfig {
  /** In order of preference, at least one. */
  readonly methods: readonly EapMethod[];
  /** `ask`: an EAP-Identity request comes first; `ike`: the peer is who IDi says. */
  readonly identity: "ask" | "ike";
  /** Names the set of users (`IkeConfig.eapUsers`) for the methods with passwords. */
  readonly users?: string | undefined;
  readonly tls?: EapTlsSettings | undefined;
}

/** The peer's (client's) side of EAP. */
export interface EapPeerConfig {
  /** Those that it accepts, in order of preference: what a Nak asks for. */
  readonly methods: readonly EapMethod[];
  /** Answer to an EAP-Identity request, and name of the user. */
  readonly identity: string;
  readonly password?: Uint8Array | undefined;
  readonly tls?: (EapTlsSettings & { readonly server?: Identity | undefined }) | undefined;
}

/** A post-quantum preshared key (RFC 8784): mixed into the keys besides whatever authenticates. */
export interface PpkConfig {
  /** PPK_ID of the fixed kind, 1 to 64 octets (RFC 8784 §5.1). */
  readonly id: Uint8Array;
  /** At least 32 octets of entropy for 128 bits against a quantum computer (RFC 8784 §6). */
  readonly secret: Uint8Array;
  /** Nothing is agreed on without it. */
  readonly required: boolean;
}

/** Seconds since establishment. A rekey starts at `soft` minus a random part of up to `jitter`; at `hard` the SA is deleted. */
export interface LifetimeConfig {
  readonly soft: number;
  readonly jitter: number;
  readonly hard: number;
}

/** `n`-th retransmission after `initial · backoff^n` ms, at most `max` ms apart; given up after `tries` of them. */
export interface RetransmissionPolicy {
  readonly initial: number;
  readonly backoff: number;
  readonly max: number;
  readonly tries: number;
}

export interface ChildConfig {
  /** Unique within the peer, stable over restarts and edits. */
  readonly id: string;
  readonly name: string;
  readonly mode: SaMode;
  /** In order; empty means this end's (the peer's) virtual address where it has one, else its outer address. */
  readonly local: readonly TrafficRange[];
  readonly remote: readonly TrafficRange[];
  /**
   * Stands for what peers propose within its selectors (POL-10): each such CHILD SA gets policies of its own, for the ports that the
   * peer named (`port-strict`) or for all (`port-override`, IDENT-04). Never negotiated by this end.
   */
  readonly template?: "port-override" | "port-strict";
  readonly proposals: readonly EspProposal[];
  /** Packets; 0 switches the check off. */
  readonly replayWindow: number;
  /** DF of the outer header (POL-13); undefined: as the data plane has it. */
  readonly dontFragment?: DontFragment;
  /** Octets that are known to pass on the way to the peer; undefined: as links and routers tell. */
  readonly pathMtu?: number;
  /** Whether TCP through the tunnel announces no longer segments than fit; undefined: yes. */
  readonly clampMss?: boolean;
  /**
   * Octets that packets are padded to, as far as the path takes them and the peer does not refuse that (RFC 7296 §1.3.1); tunnel
   * mode only; 0: no padding.
   */
  readonly tfc: number;
  readonly lifetime: LifetimeConfig & {
    readonly softBytes?: bigint;
    readonly hardBytes?: bigint;
    readonly softPackets?: bigint;
    readonly hardPackets?: bigint;
  };
  /** `start`: negotiate at once and for ever; `trap`: on the first packet; `none`: on command or by the peer. */
  readonly startAction: "none" | "start" | "trap";
  /** What follows when the peer is found dead: forget, negotiate again, wait for the next packet. */
  readonly dpdAction: "clear" | "restart" | "trap";
  readonly level: PolicyLevel;
  /** Priority of the policies; lower wins. */
  readonly priority: number;
  /** Binds SAs and policies; undefined: derived from the ids of peer and child, hence stable over restarts. */
  readonly reqid?: number;
  /** Whether routes to the remote selectors are installed. */
  readonly routes: boolean;
  /** Preferred source addresses of those routes, the first of the route's family; a virtual address goes before them. */
  readonly routeSources: readonly IpAddress[];
}

/** RFC 4555: how this end and the peer may change their addresses under a standing IKE SA. */
export interface MobikeConfig {
  readonly enabled: boolean;
  /** Where a responder can be reached besides the address in use; undefined: all of the machine's that no child has inside. */
  readonly addresses?: readonly IpAddress[];
  /** Whence a responder takes messages of a peer that has moved; empty: from anywhere. */
  readonly acceptFrom: readonly Prefix[];
  /** Whether a responder makes sure that the peer receives at its new address before traffic goes there (§3.7). */
  readonly checkRoutability: boolean;
  /** An initiator lets no NAT stand between the ends (§3.9); NAT traversal is off then. */
  readonly forbidNat: boolean;
}

export interface PeerConfig {
  /** Unique, stable over restarts and edits. */
  readonly id: string;
  readonly name: string;
  /** `address` may be undefined only when `passive`: a responder uses the one that the datagram came to. */
  readonly local: { readonly address: IpAddress | undefined; readonly port: number };
  /** `endpoint`: where to initiate to, absent only when `passive`. `accept`: whence the peer may initiate (PEER-01: most specific wins). */
  readonly remote: { readonly endpoint: Endpoint | undefined; readonly accept: readonly Prefix[] };
  /** Never initiates an IKE SA (PEER-07). */
  readonly passive: boolean;
  readonly proposals: readonly IkeProposal[];
  /** Rounds of authentication, in order (RFC 4739); each end has its own. */
  readonly localAuth: NonEmpty<LocalAuth>;
  readonly remoteAuth: NonEmpty<RemoteAuth>;
  readonly ppk?: PpkConfig;
  readonly lifetime: LifetimeConfig;
  /** Attempts in a row after which this end begins nothing more until it is asked again (SS-04); 0: for ever. */
  readonly keyingTries?: number;
  /** Seconds of silence after which the peer is probed; 0 switches liveness checks off. */
  readonly dpdInterval: number;
  readonly retransmission: RetransmissionPolicy;
  /** RFC 7383: announced, and used for messages that would not fit in an IP packet of `fragmentSize` octets. */
  readonly fragmentation: boolean;
  readonly fragmentSize: number;
  /** Claim a NAT, so that ESP goes inside UDP (RFC 3948). */
  readonly forceEncapsulation: boolean;
  readonly mobike: MobikeConfig;
  /** Seconds between NAT keepalives when this end is behind a NAT; 0: none. */
  readonly natKeepalive: number;
  /** PEER-10: tell the peer on the first IKE SA to drop older ones with this identity. */
  readonly initialContact: boolean;
  /** What a second IKE SA of the same identities does: replace the first, coexist, or be refused. */
  readonly uniqueness: "replace" | "keep" | "never";
  /**
   * Established IKE SAs that one identity may have with `keep`. Whatever the uniqueness, as many again and 64 more may be on their way
   * out; then nothing new is made until some are gone.
   */
  readonly sasPerIdentity: number;
  /** Serves the peer with addresses (IDENT-07); absent: its requests are not answered. */
  readonly modeConfig?: ModeConfig;
  /** Asks the peer for addresses (MC-06). */
  readonly request?: AddressRequest;
  /**
   * Authenticates anew `after` seconds, 0: never, less a random part of up to `jitter` (RFC 7296 §2.8.3). Break before make
   * loses packets meanwhile; a peer whose `uniqueness` is `never` takes nothing else.
   */
  readonly reauthentication: {
    readonly after: number;
    readonly jitter: number;
    readonly mode: "make-before-break" | "break-before-make";
  };
  /** As responder: seconds after which the initiator has to have authenticated anew, told in AUTH_LIFETIME (RFC 4478); 0: never. */
  readonly authLifetime: number;
  /** Requests under way at once in each direction, as far as the peer takes part (RFC 7296 §2.3): 1…16. */
  readonly window: number;
  readonly children: readonly ChildConfig[];
}

/** Limits against exhaustion (hostile input 21). */
export interface Limits {
  /** Half-open IKE SAs above which cookies are demanded (RFC 7296 §2.6). */
  readonly cookieThreshold: number;
  /** Half-open IKE SAs, as responder, of all sources and of one source address. */
  readonly halfOpen: number;
  readonly halfOpenPerSource: number;
  /** Seconds that a half-open IKE SA may last. */
  readonly halfOpenSeconds: number;
  readonly childrenPerSa: number;
  /** Pairs of prefixes and blocks of ports of all CHILD SAs of an IKE SA together that the peer has made narrower than configured. */
  readonly selectorsPerSa: number;
  /** Octets of messages of all IKE SAs together of which fragments are still missing (RFC 7383). */
  readonly partialBytes: number;
}

export const DEFAULT_LIMITS: Limits = {
  cookieThreshold: 256,
  halfOpen: 4096,
  halfOpenPerSource: 64,
  halfOpenSeconds: 30,
  childrenPerSa: 256,
  selectorsPerSa: 512,
  partialBytes: 8 * 1024 * 1024,
};

/**
 * Packets that no CHILD SA is for (POL-01): `discard` drops them, `none` lets them pass in clear. Packets from `local` to `remote`
 * are meant, and those on their way back.
 */
export interface ShuntConfig {
  /** Unique, stable over edits. */
  readonly id: string;
  readonly name: string;
  readonly action: Exclude<PolicyAction, "encrypt">;
  readonly local: readonly TrafficRange[];
  readonly remote: readonly TrafficRange[];
  /** Lower wins, also against `ChildConfig.priority`. */
  readonly priority: number;
}

export interface IkeConfig {
  readonly limits: Limits;
  /** UDP port of IKE behind a NAT: 4500 (RFC 7296 §2.23). */
  readonly natPort: number;
  /** What `ModeConfig.pools` names. */
  readonly pools?: readonly AddressPool[];
  readonly peers: readonly PeerConfig[];
  /**
   * Whence callers for whom there is no peer hear nothing instead of a refusal: who they are is not known, or what they need is not
   * there, yet. A refusal is final for some implementations; who hears nothing asks again.
   */
  readonly undecided?: readonly Prefix[];
  /** Sets of users by name, for EAP methods with passwords. IKE SAs of users who go, or whose password changes, end. */
  readonly eapUsers?: ReadonlyMap<string, EapUsers>;
  /** Absent: none. */
  readonly shunts?: readonly ShuntConfig[];
}

/** Before there is any configuration. */
export const NOTHING_DECIDED: IkeConfig = {
  limits: DEFAULT_LIMITS,
  natPort: 4500,
  peers: [],
  undecided: [Prefix.any(4), Prefix.any(6)],
};

/** Defaults that suit site-to-site peers; spread them and set what differs. */
export const PEER_DEFAULTS = {
  passive: false,
  lifetime: { soft: 14_400, jitter: 600, hard: 16_200 },
  dpdInterval: 30,
  retransmission: { initial: 500, backoff: 1.8, max: 20_000, tries: 7 },
  fragmentation: true,
  fragmentSize: 1_280,
  forceEncapsulation: false,
  mobike: { enabled: true, acceptFrom: [], checkRoutability: true, forbidNat: false },
  natKeepalive: 20,
  initialContact: true,
  uniqueness: "replace",
  sasPerIdentity: 256,
  reauthentication: { after: 0, jitter: 0, mode: "make-before-break" },
  authLifetime: 0,
  window: 4,
} as const satisfies Partial<PeerConfig>;

export const CHILD_DEFAULTS = {
  mode: "tunnel",
  replayWindow: 128,
  tfc: 0,
  lifetime: { soft: 3_240, jitter: 180, hard: 3_600 },
  startAction: "start",
  dpdAction: "restart",
  level: "require",
  priority: 2_000,
  routes: true,
  routeSources: [],
} as const satisfies Partial<ChildConfig>;
