import type { PeerConfig } from "../config.js";
import type { DhKeyPair } from "../crypto/types.js";
import type { EapDone, EapPeer, EapServer } from "../eap/index.js";
import type { LastError } from "../status.js";
import type { Identification, Payload } from "../wire/types.js";
import type { Task } from "./task.js";

/** A round of the initiator's proof that is being verified: whom it is taken for, who else it may be, and what it sent. */
export interface AuthServing {
  readonly peer: PeerConfig;
  readonly others: readonly PeerConfig[];
  /** With a PPK, unlike the keys that the IKE SA has so far. */
  readonly ppk: boolean;
  readonly id: Identification;
  readonly payloads: readonly Payload[];
}

/** EAP in the round that is under way (RFC 7296 §2.16); `done`: it has succeeded, and AUTH by its key is awaited. */
export type EapRun = { readonly done: EapDone | undefined } & (
  | { readonly role: "peer"; readonly state: EapPeer | undefined }
  | { readonly role: "server"; readonly state: EapServer }
);

/** How far both ends have proved themselves (RFC 7296 §2.15, RFC 4739 §2). */
export interface Proving {
  /** Rounds of ours that have been sent, and rounds of the peer's that were verified. */
  readonly ours: number;
  readonly theirs: number;
  /** Whom the peer's rounds before have proved. */
  readonly proven: readonly string[];
  /** Whether the peer has another round to come. */
  readonly expected: boolean;
  /** The peer takes several rounds. */
  readonly multiple: boolean;
  /** Trust anchors that the peer's certificate requests name (RFC 7296 §3.7). */
  readonly authorities: readonly Uint8Array[];
  /** The first request, for a responder: what it asks for, the last response gives. */
  readonly first: readonly Payload[];
  readonly eap: EapRun | undefined;
  readonly ppk: PpkState;
}

/**
 * How far a PPK is agreed on (RFC 8784 §3). `offered`: both ends take one. `sent`: the initiator has named it. `taken`: the responder
 * has, and has to say so. `used`: it is in the keys.
 */
export type PpkState = "none" | "offered" | "sent" | "taken" | "used";

/** What only the first two exchanges need; dropped once authenticated. */
export interface Handshake {
  /** Candidates of a responder, best first, all of which allow the suite. */
  readonly candidates: readonly PeerConfig[];
  readonly ni: Uint8Array;
  readonly nr: Uint8Array;
  /** IKE_SA_INIT as sent and as received. */
  readonly sent: Uint8Array;
  readonly received: Uint8Array;
  readonly pair: DhKeyPair | undefined;
  /** The refusal of somebody who need not be the responder: it counts when no better answer comes (RFC 7296 §2.21.1). */
  readonly refused?: LastError | undefined;
  /** Groups that the responder has refused already, and cookies already echoed: neither loops. */
  readonly refusals: number;
  readonly cookie: Uint8Array | undefined;
  readonly peerHashes: readonly number[] | undefined;
  readonly proving: Proving;
  /** Children wanted on this IKE SA; the first goes into IKE_AUTH. */
  readonly wanted: readonly Task[];
  /** Key of the table of half-open IKE SAs, for a responder. */
  readonly halfOpenKey: string | undefined;
}
