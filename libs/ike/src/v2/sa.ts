import type { Endpoint, IpAddress } from "@sallyport/base";
import type { CryptoResult, EffectId, Failure, Millis } from "../api.js";
import type { EapSecret, PeerConfig, TrustAnchor } from "../config.js";
import type { DhGroup, DhKeyPair, IkeKeys, IkeSuite, SkProtector } from "../crypto/types.js";
import type { EapMethod } from "../eap/index.js";
import type { VirtualAddresses } from "../status.js";
import type { Reassembly } from "../wire/reassembly.js";
import type { Header, Identification, Payload, Proposal } from "../wire/types.js";
import type { Accepted, Built, Child, ChildAnswer, ChildOffer, Path } from "./child-sa.js";
import type { AuthServing, Handshake } from "./handshake-state.js";
import type { Task } from "./task.js";

/**
 * `init`: IKE_SA_INIT is under way. `auth`: keys exist, nobody is authenticated. `rekeyed`: another IKE SA has taken its place
 * and its CHILD SAs. `deleting`: our Delete is out.
 */
export type Phase = "init" | "auth" | "established" | "rekeyed" | "deleting";

/** The two ends of a message as this end sees them. */
export interface From {
  readonly local: Endpoint;
  readonly remote: Endpoint;
}

/** Where an IKE SA stands, and what is in between. */
export interface Standing extends From {
  readonly nat: IkeSa["nat"];
}

/** A pair of addresses that packets can go between. */
export interface Crossing {
  readonly local: IpAddress;
  readonly remote: IpAddress;
}

/** What an IKE SA remembers for RFC 4555; absent where the peer does not speak it. */
export interface Mobike {
  /** Whether this end decides on the path: it began the first of the IKE SAs that have replaced each other (RFC 4555 §2.1). */
  readonly decides: boolean;
  /** Where the peer can be reached besides the address in use. */
  readonly theirs: readonly IpAddress[];
  /** Pairs that the routing table knows a way between, best first, and those that the peer has refused. */
  readonly paths: readonly Crossing[];
  readonly refused: readonly Crossing[];
  /** Our further addresses as they were told last. */
  readonly told: string | undefined;
  /** Where CHILD SAs still are while a move of the IKE SA is not agreed on yet. */
  readonly before: Standing | undefined;
  /** Our address as the peer has seen it, hashed. */
  readonly seenAs?: Uint8Array | undefined;
}

/** What this end offered for a new IKE SA, until the answer (RFC 7296 §2.18). */
export interface IkeOffer {
  readonly spi: bigint;
  readonly nonce: Uint8Array;
  readonly pair: DhKeyPair;
}

/** A message as it was sent, with what it takes to cut it anew. */
export interface Sealed {
  readonly datagrams: readonly Uint8Array[];
  /** Present while smaller fragments could help. */
  readonly whole?: { readonly header: Header; readonly payloads: readonly Payload[] } | undefined;
}

/** A request of ours that is under way (RFC 7296 §2.3). */
export interface Asking extends Sealed {
  /** Names it while it has no message ID yet. */
  readonly id: number;
  readonly task: Task;
  /** Undefined while it is prepared: message IDs are given out as requests are sent, so that they have no gaps (§2.2). */
  readonly mid: number | undefined;
  readonly datagrams: readonly Uint8Array[];
  readonly tries: number;
  readonly resendAt: Millis;
  /** The response is in and its effects are awaited: nothing is sent again. */
  readonly answered: boolean;
  readonly child?: ChildOffer | undefined;
  /** SPIs of unknown CHILD SAs that the peer has deleted meanwhile: this one may be among them. */
  readonly deleted?: readonly number[];
  readonly ike?: IkeOffer | undefined;
  /** Where a request of RFC 4555 was sent first, and what the peer has to send back. */
  readonly sent?: From & { readonly cookie: Uint8Array };
}

/** The request of the peer that is being answered: one at a time, in the order of message IDs. */
export interface Serving {
  readonly mid: number;
  readonly exchange: number;
  /** Where the answer goes (RFC 7296 §2.11). */
  readonly from: From;
}

/** An authenticated message, opened and whole. */
export interface Arrived {
  readonly header: Header;
  readonly from: From;
  /** Payloads outside SK. */
  readonly clear: readonly Payload[];
  readonly firstPayload: number;
  readonly plaintext: Uint8Array;
}

/** An answer of ours, for retransmissions of the request. */
export interface Responded extends Sealed {
  readonly mid: number;
  /** How often it was sent again. */
  readonly repeats?: number;
}

/** Where an awaited effect of a request of ours goes on; data only, so that a state can be copied, compared and dropped. */
export type AskingThen =
  | { readonly go: "init-offer"; readonly group: DhGroup }
  | { readonly go: "init-keys"; readonly suite: IkeSuite; readonly floats: boolean }
  | { readonly go: "auth-offer-spi" }
  | { readonly go: "auth-signed"; readonly method: number; readonly chain: readonly Uint8Array[] }
  | { readonly go: "auth-verified"; readonly payloads: readonly Payload[] }
  /** The second signature, for a responder that may not know the PPK. */
  | { readonly go: "auth-signed-plain"; readonly proof: readonly Payload[] }
  | { readonly go: "auth-eap" }
  | { readonly go: "auth-child-installed"; readonly built: Built }
  | { readonly go: "child-offer-spi" }
  | { readonly go: "child-offer-dh"; readonly spiIn: number; readonly group: DhGroup }
  | { readonly go: "child-keys"; readonly accepted: Accepted; readonly nr: Uint8Array }
  | { readonly go: "child-installed"; readonly built: Built }
  | { readonly go: "ike-offer-dh" }
  | { readonly go: "ike-keys"; readonly suite: IkeSuite; readonly spi: bigint; readonly nr: Uint8Array };

/** The same for the request of the peer that is being answered. */
export type ServingThen =
  | { readonly go: "init-answer"; readonly suite: IkeSuite; readonly chosen: Proposal }
  | { readonly go: "serve-auth-verified"; readonly serving: AuthServing }
  | { readonly go: "serve-eap" }
  | {
      readonly go: "serve-auth-signed";
      readonly method: number;
      readonly chain: readonly Uint8Array[];
      /** What goes out with the signature. */
      readonly beside: readonly Payload[];
    }
  | { readonly go: "serve-child-spi"; readonly answer: ChildAnswer; readonly before: readonly Payload[] }
  | { readonly go: "serve-child-dh"; readonly answer: ChildAnswer; readonly before: readonly Payload[] }
  | {
      readonly go: "serve-child-installed";
      readonly answer: ChildAnswer;
      readonly before: readonly Payload[];
      readonly built: Built;
      readonly ke: Uint8Array | undefined;
    }
  | {
      readonly go: "serve-ike-dh";
      readonly suite: IkeSuite;
      readonly chosen: Proposal;
      readonly spi: bigint;
      readonly ni: Uint8Array;
    };

export type Outcome =
  | { readonly ok: true; readonly crypto?: CryptoResult; readonly values?: readonly unknown[] }
  | { readonly ok: false; readonly at: number; readonly failure: Failure };

/** The question whence packets to some addresses leave, which belongs to no exchange. */
export interface RoutedThen {
  readonly go: "routed";
  readonly remotes: readonly IpAddress[];
}

/** A look at an SA of the CHILD SA `serial`, which belongs to no exchange either. */
export interface LookedThen {
  readonly go: "looked";
  readonly serial: number;
}

/** `of` names the request that it belongs to: `Asking.id`, or the peer's that is being answered. */
export type Wait =
  | { readonly id: EffectId; readonly of: number; readonly then: AskingThen }
  | { readonly id: EffectId; readonly of: "serving"; readonly then: ServingThen }
  | { readonly id: EffectId; readonly of: "moving"; readonly then: RoutedThen }
  | { readonly id: EffectId; readonly of: "switching"; readonly then: LookedThen };

/** A message of the peer that is being put together (RFC 7383 §2.6). */
export interface Partial {
  readonly mid: number;
  readonly response: boolean;
  readonly parts: Reassembly;
}

/** What a proof of the peer rests on: once that is not accepted any more, the IKE SA goes (CERT-10). */
export type Evidence =
  | { readonly by: "psk"; readonly round: number; readonly secret: Uint8Array }
  | (CertificateEvidence & { readonly by: "certificate" })
  /** As who the peer passed EAP, and by which of its set's passwords or which certificate. */
  | {
      readonly by: "eap";
      readonly round: number;
      readonly method: EapMethod;
      readonly user: string;
      readonly ground: { readonly password: EapSecret } | CertificateEvidence | undefined;
    }
  /** The server's certificate in EAP of ours; `round` is of ours too. */
  | (CertificateEvidence & { readonly by: "eap-server" });

export interface CertificateEvidence {
  readonly round: number;
  /** SHA-256 of its DER, lower-case hex. */
  readonly fingerprint: string;
  /** The anchor at which the path ends; all that were possible when the runner does not tell; none of one that is known by itself. */
  readonly anchors: readonly TrustAnchor[];
}

/** One IKE SA. Steps work on a shallow copy that replaces the old one only when they end well; nested values never change. */
export interface IkeSa {
  readonly serial: number;
  readonly initiator: boolean;
  readonly createdAt: Millis;
  /** The address that its first message came from or went to. */
  readonly source: string;
  peer: PeerConfig | undefined;
  phase: Phase;
  spiI: bigint;
  spiR: bigint;
  local: Endpoint;
  remote: Endpoint;
  suite: IkeSuite | undefined;
  keys: IkeKeys | undefined;
  protector: SkProtector | undefined;
  handshake: Handshake | undefined;
  nat: { readonly local: boolean; readonly remote: boolean; readonly forced: boolean };
  mobike: Mobike | undefined;
  localId: Identification | undefined;
  remoteId: Identification | undefined;
  subject: string | undefined;
  /** Fingerprints of the certificates by which the peer has proved itself. */
  certificates: readonly string[];
  /** Whom EAP has authenticated, or whose certificate it is when the peer names itself by the subject. */
  user: string | undefined;
  /** The PPK that is in its keys, as text (RFC 8784). */
  ppk: string | undefined;
  /** By what the peer has proved itself, round by round; EAP leaves none. */
  evidence: readonly Evidence[];
  /** Peer, or peers for the same people, and remote identity as one text, once authenticated: what must be unique (RFC 7296 §2.4). */
  identity: string | undefined;
  /** What the configuration payload gave; shared by the IKE SAs of a rekey. */
  virtual: VirtualAddresses | undefined;
  /** Octets of IP packets that are known to pass to the peer, if that is fewer than configured (RFC 7383 §2.5.2). */
  packetBytes: number;
  /** The peer takes fragments (RFC 7383). */
  fragments: boolean;
  /** Message ID of our next request and of the peer's next one. */
  nextOurs: number;
  nextTheirs: number;
  /** Requests of ours under way, in the order in which they were begun; at most `window.send`. */
  asking: readonly Asking[];
  serving: Serving | undefined;
  /** Requests that came before their turn, at most `window.receive`. */
  early: readonly Arrived[];
  /** How many requests the peer takes at once, and how many this end does (RFC 7296 §2.3). */
  window: { readonly send: number; readonly receive: number };
  queue: readonly Task[];
  waits: readonly Wait[];
  /** Our responses to the last `window.receive` requests. */
  responses: readonly Responded[];
  partials: readonly Partial[];
  children: readonly Child[];
  /** Inbound SPIs that outlive their CHILD SA a moment, for packets still under way. */
  fading: readonly { readonly spiIn: number; readonly path: Path; readonly at: Millis }[];
  lowestNonce: Uint8Array;
  establishedAt: Millis | undefined;
  lastSeenAt: Millis;
  lastSentAt: Millis;
  rekeyAt: Millis | undefined;
  expireAt: Millis | undefined;
  /** Who asked for authentication, when to do so anew, and when its end has come (RFC 7296 §2.8.3, RFC 4478). */
  authentication:
    | { readonly asked: boolean; readonly renewAt: Millis | undefined; readonly endAt: Millis | undefined }
    | undefined;
  /** The IKE SA that goes when this one and its CHILD SAs stand. */
  replaces: number | undefined;
  /** When a half-open, rekeyed or superfluous IKE SA is dropped without a word. */
  dropAt: Millis | undefined;
  /** The peer has neither it nor its CHILD SAs any more, and has said so (RFC 7296 §2.4). */
  lost: boolean;
  /** No new exchange before this, after TEMPORARY_FAILURE (RFC 7296 §2.25). */
  pauseUntil: Millis;
  /** The IKE SA that a rekey begun by the peer made, while our own rekey is under way (RFC 7296 §2.8.2). */
  rivalSerial: number | undefined;
  /** When a hint of nobody in particular was followed last, or the peer told of a wrong message ID: both are rare. */
  remarkedAt: Millis;
  armedAt: Millis;
}
