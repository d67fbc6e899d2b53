import type { CertificateReference, DeadPeerDetection, Identity, Ports } from "./model.js";
import type { Secret } from "./secret.js";

/** What a fleet is (`FleetModel`, the input of `compile`). Texts, times and ids are written as in `GatewayIntent`. */

export interface OrganizationModel {
  readonly id: string;
  /** A DNS label; part of every gateway's identity. */
  readonly slug: string;
  readonly name: string;
}

export interface SiteModel {
  readonly id: string;
  readonly name: string;
  /** Prefixes of the networks behind the site's gateway. */
  readonly subnets: readonly string[];
}

export interface GatewayModel {
  readonly id: string;
  readonly name: string;
  readonly siteId: string;
  /** Name in its certificate's subjectAltName, e.g. `gw-vienna.acme.sallyport`: `gatewayFqdn` makes it. */
  readonly fqdn: string;
  /** Address or DNS name at which others reach it; absent when it sits behind a NAT and has to call. */
  readonly host?: string | undefined;
  readonly ports?: Ports | undefined;
  /** Absent until it is enrolled. */
  readonly certificate?: CertificateReference | undefined;
  /** A certificate of a public authority: shown to road warriors instead, under its own name. */
  readonly publicCertificate?: PublicCertificate | undefined;
}

export interface PublicCertificate {
  /** A DNS name that it certifies. */
  readonly name: string;
  readonly reference: CertificateReference;
  /** SHA-256 of the certificates that peers take from it, which is this one and those before and after it while keys change. */
  readonly pins: readonly string[];
}

/**
 * Hub and spoke, members by gateway id. Every spoke has a tunnel to every hub, every two hubs have one.
 * A spoke reaches a hub's subnets through that hub and, with `transit`, the other spokes' subnets through the first hub.
 */
export interface NetworkModel {
  readonly id: string;
  readonly name: string;
  readonly hubs: readonly string[];
  readonly spokes: readonly string[];
  /** Whether spokes reach each other; absent means yes. At most 255 subnets can be behind a hub then. */
  readonly transit?: boolean | undefined;
  /**
   * How its gateways prove themselves to each other; absent: by certificates of the built-in CA. `public-certificate`: those that have
   * one of a public authority by that, and its peers take nothing else.
   */
  readonly auth?: "certificate" | "psk" | "public-certificate" | undefined;
  /** Absent: `DEFAULT_PROFILE`. */
  readonly profileId?: string | undefined;
}

/** By their ids in `FleetModel.preSharedKeys`. */
export interface PreSharedKeys {
  /** By which our gateways prove themselves. */
  readonly keyId: string;
  /** Taken from the other end besides, while the key is rotated. */
  readonly alsoAccepted?: readonly string[] | undefined;
}

export type ExternalAuth =
  | ({ readonly method: "psk" } & PreSharedKeys)
  | { readonly method: "certificate"; readonly trustAnchorIds: readonly string[] };

/** A gateway of somebody else's. */
export interface ExternalPeerModel {
  readonly id: string;
  readonly name: string;
  /** Our gateway that talks to it. */
  readonly gatewayId: string;
  /** Absent: it calls us, from anywhere. */
  readonly host?: string | undefined;
  readonly ports?: Ports | undefined;
  /** `both`: we call, and answer when it does. */
  readonly role: "initiator" | "responder" | "both";
  /** How we name ourselves; absent: the gateway's FQDN. */
  readonly localIdentity?: Identity | undefined;
  readonly remoteIdentity: Identity;
  readonly auth: ExternalAuth;
  /** Absent: the subnets of the gateway's site. */
  readonly localSubnets?: readonly string[] | undefined;
  readonly remoteSubnets: readonly string[];
  /** Absent: `DEFAULT_PROFILE`. */
  readonly profileId?: string | undefined;
  /** What its operator says it is configured for; the proof holds it against our profile. */
  readonly declared?: DeclaredPeer | undefined;
}

/** Anything absent is taken to mirror our side. */
export interface DeclaredPeer {
  readonly ikeProposals?: readonly string[] | undefined;
  readonly espProposals?: readonly string[] | undefined;
  readonly localSubnets?: readonly string[] | undefined;
  readonly remoteSubnets?: readonly string[] | undefined;
  readonly localIdentity?: Identity | undefined;
  readonly remoteIdentity?: Identity | undefined;
}

/** How tunnels are protected and how long keys live. Proposals are text as `parseProposal` reads it, e.g. `aes256gcm16-prfsha384-x25519`. */
export interface ProfileModel {
  readonly id: string;
  readonly name: string;
  readonly ikeProposals: readonly string[];
  /** A group in an ESP proposal asks for PFS (RFC 7296 §1.3.1). */
  readonly espProposals: readonly string[];
  readonly lifetimes: Lifetimes;
  readonly dpd: DeadPeerDetection;
}

export interface Lifetimes {
  /** Age at which the IKE SA is rekeyed. */
  readonly ikeRekeySeconds: number;
  /** Age at which a CHILD SA is rekeyed; the hard limit is a tenth later. */
  readonly childRekeySeconds: number;
  /** Octets of one CHILD SA after which it is rekeyed; absent: no limit. */
  readonly childRekeyBytes?: number | undefined;
}

export interface TrustAnchorModel {
  readonly id: string;
  readonly name: string;
  /** DER, base64. */
  readonly der: string;
  /** Of certificates that lead to it; absent: relaxed. */
  readonly revocation?: "strict" | undefined;
}

export interface PreSharedKeyModel {
  readonly id: string;
  readonly secret: Secret;
}

/** Addresses of one family for road warriors, apart from every network of the fleet; texts as in `PoolIntent`. */
export interface AddressPoolModel {
  readonly id: string;
  readonly name: string;
  readonly addresses: readonly string[];
  readonly except?: readonly string[] | undefined;
}

/** A person who calls from anywhere, and gets in: who is disabled is not in the model. */
export interface RoadWarriorModel {
  readonly id: string;
  /** A mailbox or a DNS name: what EAP names and a certificate proves. */
  readonly username: string;
  readonly groupIds: readonly string[];
  /** IKE SAs at once on one gateway. */
  readonly sessions: number;
  /** For EAP-MSCHAPv2, as `mschapVerifier` makes it; absent: no password. */
  readonly verifier?: Secret | undefined;
  /** Addresses of pools that are nobody else's, at most one of each family. */
  readonly addresses: readonly string[];
}

/** What may be different for a group or a person; absent: as the service has it. */
export interface ToldModel {
  /** All that may be reached. */
  readonly networks?: readonly string[] | undefined;
  readonly dns?: readonly string[] | undefined;
  readonly splitDns?: readonly string[] | undefined;
  /** Of the service's pools, in order of preference. */
  readonly poolIds?: readonly string[] | undefined;
}

/** Remote access as a service on one or more gateways. */
export interface RemoteAccessModel {
  readonly id: string;
  readonly name: string;
  /** Every gateway has a share of the pools of its own, 0 to `shares` − 1. */
  readonly gateways: readonly { readonly gatewayId: string; readonly share: number }[];
  /** Into how many shares the pools are cut. */
  readonly shares: number;
  /** In order of preference. */
  readonly poolIds: readonly string[];
  readonly methods: readonly ("certificate" | "eap-tls" | "eap-mschapv2" | "certificate-and-eap-mschapv2")[];
  /** What callers' certificates lead to. */
  readonly trustAnchorIds: readonly string[];
  /** What callers may reach, whatever they ask for. */
  readonly networks: readonly string[];
  readonly dns: readonly string[];
  readonly splitDns: readonly string[];
  /** In order: of what several groups of a person say, the first counts, but of networks all. Empty: everybody gets in. */
  readonly groups: readonly ({ readonly groupId: string } & ToldModel)[];
  /** Before what groups say. */
  readonly people: readonly ({ readonly personId: string } & ToldModel)[];
  /** Absent: `DEFAULT_PROFILE`. */
  readonly profileId?: string | undefined;
}

/** Everything `compile` knows. Order of the lists has no meaning, except of `hubs` (preference), proposals, and a certificate's intermediates. */
export interface FleetModel {
  readonly organization: OrganizationModel;
  readonly sites: readonly SiteModel[];
  readonly gateways: readonly GatewayModel[];
  readonly networks: readonly NetworkModel[];
  readonly externalPeers: readonly ExternalPeerModel[];
  readonly profiles: readonly ProfileModel[];
  /** Anchors of the built-in CA: what gateways accept each other's certificates by. */
  readonly internalAnchorIds: readonly string[];
  readonly trustAnchors: readonly TrustAnchorModel[];
  readonly preSharedKeys: readonly PreSharedKeyModel[];
  /** Of every tunnel of a network with `auth: "psk"`, by the tunnel's id. */
  readonly tunnelKeys?: ReadonlyMap<string, PreSharedKeys> | undefined;
  readonly pools?: readonly AddressPoolModel[] | undefined;
  readonly roadWarriors?: readonly RoadWarriorModel[] | undefined;
  readonly remoteAccess?: readonly RemoteAccessModel[] | undefined;
}

/** One tunnel of the fleet, with its two ends. */
export interface TunnelModel {
  /** The id of the connection in both ends' intents. */
  readonly id: string;
  readonly name: string;
  readonly from:
    | { readonly kind: "network"; readonly networkId: string }
    | { readonly kind: "external"; readonly peerId: string };
  /** Gateway that calls first (network), or our gateway (external). */
  readonly a: string;
  /** Gateway that answers; undefined when the other end is an external peer. */
  readonly b: string | undefined;
}
