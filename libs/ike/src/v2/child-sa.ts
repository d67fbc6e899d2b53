import type { Endpoint } from "@sallyport/base";
import type { SaMode, SaSpec } from "@sallyport/dataplane";
import type { Millis } from "../api.js";
import type { ChildConfig, TrafficRange } from "../config.js";
import type { ChildSuite, DhKeyPair } from "../crypto/types.js";
import type { Payload, Proposal } from "../wire/types.js";

/** Where two ends meet, and whether ESP goes inside UDP there. SAs of one IKE SA share one object as long as they share the path. */
export interface Path {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly encapsulated: boolean;
}

/** A CHILD SA pair. `outbound` is held back by the responder of a rekey until the peer can receive (RFC 7296 §2.8). */
export interface Child {
  readonly serial: number;
  readonly config: ChildConfig;
  readonly state: "installed" | "rekeying" | "rekeyed" | "deleting";
  readonly mode: SaMode;
  /** Where its SAs are in the data plane; that of the IKE SA may be ahead of it. */
  readonly path: Path;
  readonly suite: ChildSuite;
  readonly reqid: number;
  readonly spiIn: number;
  readonly spiOut: number;
  readonly local: readonly TrafficRange[];
  readonly remote: readonly TrafficRange[];
  readonly heldOutbound: SaSpec | undefined;
  /** Whether the outbound SA is in the data plane. */
  readonly sending: boolean;
  /** When packets leave on it though the old pair is not deleted, and when to look next whether the peer sends on it. */
  readonly switchover: { readonly at: Millis; readonly lookAt: Millis | undefined } | undefined;
  readonly establishedAt: Millis;
  readonly rekeyAt: Millis | undefined;
  readonly expireAt: Millis | undefined;
  /** Lowest nonce of the exchange that made it, and who began that exchange (RFC 7296 §2.8.1). */
  readonly lowestNonce: Uint8Array;
  readonly ours: boolean;
  /** The CHILD SA that a rekey begun by the peer put in this one's place, while our own rekey of this one is under way. */
  readonly rivalSerial: number | undefined;
  /** The CHILD SA that the peer's rekey put in this one's place. */
  readonly replacedBy: number | undefined;
}

/** The packet that raised an acquire, as two single-address ranges (RFC 7296 §2.9). */
export interface PacketSelector {
  readonly local: TrafficRange;
  readonly remote: TrafficRange;
}

/** What this end offered for a CHILD SA, until the answer. */
export interface ChildOffer {
  readonly config: ChildConfig;
  readonly reqid: number;
  readonly spiIn: number;
  readonly nonce: Uint8Array;
  readonly pair: DhKeyPair | undefined;
  readonly local: readonly TrafficRange[];
  readonly remote: readonly TrafficRange[];
  readonly proposals: readonly Proposal[];
  readonly rekeys: number | undefined;
}

/** The peer's half of a CHILD SA negotiation, judged and waiting for effects. */
export interface ChildAnswer {
  readonly config: ChildConfig;
  readonly reqid: number;
  readonly suite: ChildSuite;
  readonly chosen: Proposal;
  readonly spiOut: number;
  readonly mode: SaMode;
  readonly tfc: number;
  readonly local: readonly TrafficRange[];
  readonly remote: readonly TrafficRange[];
  readonly ni: Uint8Array;
  readonly nr: Uint8Array;
  readonly peerKe: Uint8Array | undefined;
  readonly rekeys: number | undefined;
  readonly spiIn: number;
  /** CFG_REPLY, where one was asked for in CREATE_CHILD_SA. */
  readonly cp: readonly Payload[];
}

/** Everything that was agreed on about a CHILD SA. */
export interface Agreed {
  readonly config: ChildConfig;
  readonly mode: "tunnel" | "transport";
  /** Octets to pad packets to, 0 when the peer takes no padding. */
  readonly tfc: number;
  readonly suite: ChildSuite;
  readonly reqid: number;
  readonly spiIn: number;
  readonly spiOut: number;
  readonly local: readonly TrafficRange[];
  readonly remote: readonly TrafficRange[];
  readonly ni: Uint8Array;
  readonly nr: Uint8Array;
  readonly shared: Uint8Array | undefined;
  /** Whether this end began the exchange. */
  readonly ours: boolean;
  readonly rekeys: boolean;
  /** An older IKE SA with the same peer carries the same child's packets until this one does; none that the peer has lost. */
  readonly takesOver: boolean;
}

/** Our offer and an answer that fits it. */
export interface Accepted {
  readonly suite: ChildSuite;
  readonly spiOut: number;
  readonly agreed: Omit<Agreed, "ni" | "nr" | "shared" | "reqid">;
}

export interface Built {
  readonly child: Child;
  readonly inbound: SaSpec;
  readonly outbound: SaSpec;
}
