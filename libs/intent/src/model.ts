import type { EapMethod, SignatureName, TlsVersion } from "@sallyport/ike";
import type { Secret } from "./secret.js";

/**
 * What one gateway must be (`GatewayIntent`, the output of `compile`). Plain data: addresses and prefixes are canonical text
 * (RFC 5952), times are seconds, certificates are DER in base64. Ids are `[A-Za-z0-9._-]{1,64}`.
 */

/**
 * An IKE identity (RFC 7296 §3.5). `value` is an address, a name, a mailbox, for `dn` the DER of the Name in base64 or its text (`C=AT, O=Acme, CN=gw`), and for
 * `key-id` a text, or octets written as hex after `0x`.
 */
export interface Identity {
  readonly type: "fqdn" | "address" | "email" | "dn" | "key-id";
  readonly value: string;
}

/** UDP ports of IKE and of IKE with ESP in UDP (RFC 3948): 500 and 4500 unless said otherwise. */
export interface Ports {
  readonly ike: number;
  readonly natt: number;
}

/** Which certificate a gateway shows. Its key never leaves the gateway. */
export interface CertificateReference {
  /** SHA-256 of the leaf's DER, lower-case hex. */
  readonly fingerprint: string;
  /** Issuing CAs between the leaf and the anchor, leaf's issuer first; sent beside the leaf. */
  readonly intermediates: readonly string[];
  /** The leaf itself, where the gateway has had no other way to learn it: it belongs to a key that the gateway made for a request. */
  readonly leaf?: string | undefined;
}

/** Liveness checks (RFC 7296 §2.4). 0 switches them off. */
export interface DeadPeerDetection {
  readonly intervalSeconds: number;
}

/** Schema version of `GatewayIntent`; a reader refuses others. */
export const INTENT_SCHEMA = 1;

/** Everything one gateway must be, at one revision. */
export interface GatewayIntent {
  readonly schema: typeof INTENT_SCHEMA;
  /** Grows by one with every change; 0 is the empty intent of a gateway that has none. */
  readonly revision: number;
  readonly gateway: { readonly id: string; readonly name: string };
  readonly identity: Identity;
  readonly ports: Ports;
  /** Absent: the gateway is not enrolled, or needs none. */
  readonly certificate?: CertificateReference | undefined;
  readonly trustAnchors: readonly TrustAnchorIntent[];
  /** Names and passwords for EAP; `PeerEap.userSetId` names them. */
  readonly eapUsers?: readonly EapUserSetIntent[] | undefined;
  /** Addresses for road warriors; `ModeConfigIntent.poolIds` names them. */
  readonly pools?: readonly PoolIntent[] | undefined;
  readonly connections: readonly ConnectionIntent[];
  /** The order of policies, first match wins (POL-14). Absent or empty: only tunnels, in no order. */
  readonly policies?: readonly PolicyIntent[] | undefined;
  readonly options: IntentOptions;
}

/**
 * One place in the order of policies. `discard` and `none` say what becomes of packets from `local` to `remote` and back (selectors as
 * in `ChildIntent.localSubnets`); `encrypt` is where the policies of `child` stand – of all children that have no place of their own
 * when it is absent – with those that peers narrow or generate right before it (POL-19). A list of shunts has to say where the
 * tunnels stand.
 */
export type PolicyIntent =
  | {
      readonly action: "discard" | "none";
      readonly id: string;
      readonly name: string;
      readonly local: readonly string[];
      readonly remote: readonly string[];
    }
  | { readonly action: "encrypt"; readonly child?: string | undefined };

export interface TrustAnchorIntent {
  readonly id: string;
  /** DER, base64. */
  readonly der: string;
  /**
   * What becomes of certificates below this anchor of which it is not known whether they are revoked: `strict` refuses them, `relaxed`
   * (absent) takes them, `off` does not even ask. One that is known to be revoked is refused by the first two.
   */
  readonly revocation?: "strict" | "relaxed" | "off" | undefined;
  /** Certificate revocation lists of the anchor itself that are handed to the gateway: DER, base64. */
  readonly crls?: readonly string[] | undefined;
}

export interface IntentOptions {
  /** An agent that loses the control plane this soon after applying a revision goes back to the last confirmed one. */
  readonly commitConfirmSeconds: number;
  /** How often counters are reported. */
  readonly reportSeconds: number;
}

/** Addresses of one family that road warriors are given. Those that `UserIntent.addresses` names are nobody else's. */
export interface PoolIntent {
  readonly id: string;
  readonly name: string;
  /**
   * Prefixes and ranges such as `10.9.0.10-10.9.0.99`, apart from each other and from the networks of the gateway itself. Of a prefix
   * the first address and, with IPv4, the last are not given.
   */
  readonly addresses: readonly string[];
  /** Addresses, prefixes and ranges that are not given. */
  readonly except?: readonly string[] | undefined;
}

/** What a caller is told with its address; each list replaces that of everybody. */
interface ToldIntent {
  /** In order of preference. */
  readonly poolIds?: readonly string[] | undefined;
  /** Addresses of name servers. */
  readonly dns?: readonly string[] | undefined;
  /** Domains that are asked of `dns` (RFC 8598); absent: it is told none. */
  readonly splitDns?: readonly string[] | undefined;
  /** Networks that are reached through the tunnel. A hint to the caller: what it may reach is a child's `localSubnets`. */
  readonly splitInclude?: readonly string[] | undefined;
}

/** What is different for one caller (IDENT-14). */
export interface UserIntent extends ToldIntent {
  readonly identity: Identity;
  /** Its own, at most one of each family. */
  readonly addresses?: readonly string[] | undefined;
  /** What it reaches of the children's `localSubnets`, as they are written; absent: all. CHILD SAs that reach further end when it becomes less. */
  readonly reach?: readonly string[] | undefined;
  /** IKE SAs that it may have at once where `uniqueness` is `keep`; absent: `sasPerIdentity`. */
  readonly sessions?: number | undefined;
}

/** Gives callers addresses and what belongs to them (RFC 7296 §2.19). */
export interface ModeConfigIntent extends ToldIntent {
  readonly poolIds: readonly string[];
  /** Whether a caller that asks for no address gets no CHILD SA; absent: yes. */
  readonly required?: boolean | undefined;
  /** Told as the netmask of an IPv4 address; absent: none is told. */
  readonly addressPrefixLength?: number | undefined;
  readonly users?: readonly UserIntent[] | undefined;
  /** Whether nobody but `users` gets in, whatever he proves; absent: no. Who is taken off the list is out at once. */
  readonly onlyUsers?: boolean | undefined;
  /**
   * Connections with the same one are for the same people, by several ways of proving who they are: what `uniqueness`, `sasPerIdentity` and
   * `sessions` say of one identity counts over all of them. Absent: each connection by itself.
   */
  readonly peopleId?: string | undefined;
}

/** Asks the peer for addresses (`request-only`). Children without local subnets are for the addresses that it gives. */
export interface AddressRequestIntent {
  readonly families: readonly ("ipv4" | "ipv6")[];
  /** Whether name servers are asked for; absent: yes. Nothing uses them unless the agent is told to (`--resolver-hook`). */
  readonly dns?: boolean | undefined;
  /** Networks behind this gateway whose packets go out with the address that the peer gave (source NAT, MC-05). */
  readonly hides?: readonly string[] | undefined;
}

export interface ConnectionIntent {
  /** The tunnel's id, the same at both ends. */
  readonly id: string;
  readonly name: string;
  /** Who may call: `responder` never initiates, `initiator` answers no IKE_SA_INIT. */
  readonly role: "initiator" | "responder" | "both";
  readonly remote: RemoteEndpoint;
  readonly ikeProposals: readonly string[];
  readonly local: LocalAuth;
  readonly peer: PeerAuth;
  /** Further rounds in which this end and the peer prove themselves, after `local` and `peer` (RFC 4739). */
  readonly localRounds?: readonly LocalAuth[] | undefined;
  readonly peerRounds?: readonly PeerAuth[] | undefined;
  /** A post-quantum preshared key beside whatever authenticates (RFC 8784). */
  readonly ppk?: PpkIntent | undefined;
  readonly ikeRekeySeconds: number;
  readonly dpd: DeadPeerDetection;
  /** The address of this gateway that the tunnel uses (PEER-06); absent: the one that routing gives. */
  readonly localAddress?: string | undefined;
  /** Whether the peer is told at first contact to forget older SAs of this end (PEER-10); absent: yes. */
  readonly initialContact?: boolean | undefined;
  /** What a second IKE SA of the same identities does: replaces the first (absent), coexists, or is refused. */
  readonly uniqueness?: "replace" | "keep" | "never" | undefined;
  /** IKE SAs that one identity may have at once with `keep`, 1 to 65535; absent: 256. */
  readonly sasPerIdentity?: number | undefined;
  /** Requests under way at once in each direction, 1 to 16, as far as the peer takes part (RFC 7296 §2.3); absent: 4. */
  readonly window?: number | undefined;
  /** Authenticates anew after so many seconds, with the new SAs beside the old (absent) or after them. */
  readonly reauthentication?:
    | { readonly seconds: number; readonly mode?: "make-before-break" | "break-before-make" | undefined }
    | undefined;
  /** Seconds after which a peer that called has to have authenticated anew, which it is told (RFC 4478); absent: never. */
  readonly authLifetimeSeconds?: number | undefined;
  /** How an unanswered request is repeated (RFC 7296 §2.1); absent: 7 times, from 0.5 s on, each wait 1.8 times the one before up to 20 s. */
  readonly retransmission?: Retransmission | undefined;
  /** Attempts in a row before this end gives up until it is asked again; absent or 0: for ever. */
  readonly keyingTries?: number | undefined;
  readonly mobike?: MobikeIntent | undefined;
  /** Seconds between keepalives when this end is behind a NAT; 0: none. Absent: 20. */
  readonly natKeepaliveSeconds?: number | undefined;
  /** ESP inside UDP without a NAT too; absent: no. */
  readonly forceEncapsulation?: boolean | undefined;
  /** Octets of the IP packets that IKE messages are cut to (RFC 7383); 0: never cut. Absent: 1280. */
  readonly fragmentBytes?: number | undefined;
  /** We give the peer addresses. */
  readonly modeConfig?: ModeConfigIntent | undefined;
  /** The peer gives us addresses; never together with `modeConfig`. */
  readonly addressRequest?: AddressRequestIntent | undefined;
  readonly children: readonly ChildIntent[];
}

/** How addresses change under a standing tunnel (RFC 4555); every field may be absent. */
export interface MobikeIntent {
  /** Absent: yes. */
  readonly enabled?: boolean | undefined;
  /** Addresses at which a caller reaches this gateway besides the one in use; absent: all but those of protected networks. */
  readonly addresses?: readonly string[] | undefined;
  /** Prefixes that a peer may move to; absent: anywhere. */
  readonly acceptFrom?: readonly string[] | undefined;
  /** Whether a peer has to answer at its new address before traffic goes there; absent: yes. */
  readonly checkRoutability?: boolean | undefined;
  /** Refuses to work through a NAT; absent: no. */
  readonly forbidNat?: boolean | undefined;
}

export interface Retransmission {
  readonly initialMilliseconds: number;
  readonly backoff: number;
  readonly longestMilliseconds: number;
  /** Then the peer counts as dead. */
  readonly tries: number;
}

export interface RemoteEndpoint {
  /** Address or DNS name; absent: the peer calls. */
  readonly host?: string | undefined;
  /**
   * Prefixes from which the peer may call; of several connections that fit, the most specific wins (PEER-01). Absent: anywhere, but
   * with a pre-shared key and a host only that host.
   */
  readonly from?: readonly string[] | undefined;
  readonly ports: Ports;
}

/**
 * `auto` (IDENT-08): with a certificate what that proves – its first subjectAltName, else its subject –, with a pre-shared key the
 * address of this end.
 */
export type LocalIdentity = Identity | { readonly type: "auto" };

/** A pre-shared key travels inside the intent; `keyId` names it where the value must not appear. */
export type LocalAuth =
  | {
      readonly method: "certificate";
      readonly identity: LocalIdentity;
      /**
       * Certificates of this gateway, of which the first is shown that the peer's certificate requests ask for, else the first
       * (IDENT-02); absent: the gateway's own.
       */
      readonly certificates?: readonly CertificateReference[] | undefined;
      readonly signatures?: readonly SignatureName[] | undefined;
    }
  | { readonly method: "psk"; readonly identity: LocalIdentity; readonly keyId: string; readonly secret: Secret }
  | ({ readonly identity: Identity } & LocalEap);

export interface PpkIntent {
  /** Its name, the same at both ends. */
  readonly id: string;
  readonly secret: Secret;
  /** Without it there is no tunnel; absent: yes. */
  readonly required?: boolean | undefined;
}

/**
 * An identity may be a pattern: `*.example.org`, `*@example.org`, or a distinguished name as text with attributes that may have any
 * value, `C=AT, O=Acme, CN=*`. `any`: whatever the peer proves – with a certificate its name, with a pre-shared key anything at all.
 * `auto` (IDENT-09): the same, but with a pre-shared key and a `remote.host` the peer's address. `ignore`: whatever it says, and no
 * certificate has to prove it; dangerous where many have certificates of the same authority.
 */
export type PeerIdentity = Identity | { readonly type: "any" | "auto" | "ignore" };

export type PeerAuth = { readonly identity: PeerIdentity } & (
  | {
      readonly method: "certificate";
      readonly trustAnchorIds: readonly string[];
      /** SHA-256 of certificates, one of which the peer has to show; who signed it does not matter then. */
      readonly fingerprints?: readonly string[] | undefined;
      /** Signatures that are taken; absent: all. */
      readonly signatures?: readonly SignatureName[] | undefined;
    }
  | {
      readonly method: "psk";
      readonly keyId: string;
      readonly secret: Secret;
      /** Accepted too, while the key is rotated. An IKE SA that rests on a key which is named here and there no more ends. */
      readonly alsoAccepted?: readonly { readonly keyId: string; readonly secret: Secret }[] | undefined;
    }
  | PeerEap
);

/** In order of preference; `docs/eap.md` says what each is worth. */
interface EapMethods {
  readonly methods?: readonly EapMethod[] | undefined;
  /** Absent: TLS 1.2 and 1.3. */
  readonly tlsVersions?: { readonly min: TlsVersion; readonly max: TlsVersion } | undefined;
}

/**
 * We call, as a client of EAP. At a gateway that is called, without methods: the caller's EAP-TLS proves this end as well (RFC 5998).
 * With `tls`, the gateway's own certificate is shown.
 */
export interface LocalEap extends EapMethods {
  readonly method: "eap";
  /** Name of the user; absent: the identity. */
  readonly user?: string | undefined;
  /** The password, for methods that have one. */
  readonly secret?: Secret | undefined;
  /** For `tls`: what the server's certificate leads to, and what it proves; absent: what `peer.identity` says. */
  readonly trustAnchorIds?: readonly string[] | undefined;
  readonly serverIdentity?: Identity | undefined;
}

/** We serve EAP to callers. At a gateway that calls, without methods: our own EAP-TLS proves the other end as well (RFC 5998). */
export interface PeerEap extends EapMethods {
  readonly method: "eap";
  /** Whether the caller is asked for its name; absent: yes. Else it is who IDi says. */
  readonly askIdentity?: boolean | undefined;
  /** Whom EAP has to authenticate: a name, or `*` and the end of it; absent: any user. */
  readonly user?: string | undefined;
  /** In a further round: whether it has to be whom the rounds before have proved, name by name; absent: no. */
  readonly samePerson?: boolean | undefined;
  /** Names the users for methods with passwords (`GatewayIntent.eapUsers`). */
  readonly userSetId?: string | undefined;
  /** For `tls`: what a caller's certificate leads to. */
  readonly trustAnchorIds?: readonly string[] | undefined;
}

export interface EapUserSetIntent {
  readonly id: string;
  readonly users: readonly EapUserIntent[];
}

export interface EapUserIntent {
  readonly name: string;
  /** The password as text; with `verifier` its NT hash as 32 hex digits (RFC 2759 §8.3), which is enough for `mschapv2` and for no other method. */
  readonly secret: Secret;
  readonly verifier?: "nt-hash" | undefined;
}

export interface ChildIntent {
  /** Unique in the gateway's intent and the same at both ends. */
  readonly id: string;
  readonly name: string;
  /** `transport`: packets between the two ends themselves, GRE or IPIP among them; takes a data plane that has it. */
  readonly mode: "tunnel" | "transport";
  /**
   * Traffic selectors: prefixes, or ranges of addresses, perhaps of one protocol and of some of its ports or ICMP types:
   * `10.1.0.0/16`, `10.1.0.0/16[tcp/443]`, `10.1.0.5-10.1.0.9[udp/1024-2047]`, `10.1.0.0/16[icmp/8]`. Empty: the virtual address of
   * that end, or its outer address where it has none.
   */
  readonly localSubnets: readonly string[];
  readonly remoteSubnets: readonly string[];
  readonly espProposals: readonly string[];
  readonly rekeySeconds: number;
  readonly rekeyBytes?: number | undefined;
  /** DF of the outer header (POL-13): as inside, always or never; absent: as the data plane has it. */
  readonly dontFragment?: "copy" | "set" | "clear" | undefined;
  /**
   * Octets of the longest IP packet that passes to the peer, 576 to 9,216; only where ICMP is filtered on the way. Absent: what links and
   * routers tell.
   */
  readonly pathMtu?: number | undefined;
  /** Whether TCP's maximum segment size is lowered to what fits into the tunnel, in both directions; absent: yes. */
  readonly clampMss?: boolean | undefined;
  readonly rekeyPackets?: number | undefined;
  /** Packets of the window in which late ones are taken, 32 to 4096; 0: no check for replays. Absent: 128. */
  readonly replayWindow?: number | undefined;
  /** Octets that packets are padded to, so that their sizes tell nothing (RFC 4303 §2.7); absent: no padding. */
  readonly tfcBytes?: number | undefined;
  /** `start`: bring it up at once and keep it up; `trap`: when a packet asks for it; `none`: when the peer asks. */
  readonly startAction: "start" | "trap" | "none";
  /** When the peer is found dead: forget, negotiate again, or wait for a packet. Absent: as `startAction` has it. */
  readonly dpdAction?: "clear" | "restart" | "trap" | undefined;
  /**
   * POL-08. `require` (absent): packets wait for an SA. `unique`: for one that no other peer's packets use. `use`: they leave in
   * clear while there is none.
   */
  readonly level?: "require" | "unique" | "use" | undefined;
  /**
   * A policy template (POL-10): whatever the peer proposes is taken when all of it fits inside the selectors, and gets policies of its
   * own as long as its SA lasts – for the ports that the peer named, or with `port-override` for all. `startAction` is `none`.
   */
  readonly template?: "port-override" | "port-strict" | undefined;
}
