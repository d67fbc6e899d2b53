import type { Fault, Rng } from "@sallyport/base";
import type { EapSecret, EapTlsSettings, EapUsers, Identity, TlsVersion, TrustAnchor } from "../config.js";
import type { PeerCertificate } from "../crypto/types.js";
import type { Failure } from "../failure.js";
import type { EapPayload } from "../wire/types.js";
import type { EapMethod } from "./methods.js";

export interface EapContext {
  readonly rng: Rng;
  /** Sets of users by name, as in `IkeConfig.eapUsers`. */
  readonly users: ReadonlyMap<string, EapUsers>;
}

/** Text that names a user, and where it is known the typed identity behind it. */
export interface ClaimedIdentity {
  readonly text: string;
  readonly typed: Identity | undefined;
}

/**
 * One flight of TLS for the runner. `open` comes with the first job of a session, and only then. The runner answers when TLS
 * wants more from the other end, or fails the job; a failed or finished session is gone.
 */
export interface EapTlsJob {
  readonly kind: "eap-tls";
  /** Unique, made by the engine. */
  readonly session: string;
  readonly open?:
    | (EapTlsSettings & { readonly role: "server" | "peer"; readonly prove: Identity | undefined })
    | undefined;
  /** TLS records as received; empty when the peer starts. */
  readonly input: Uint8Array;
}

/** Nobody waits for the session any more. */
export interface EapTlsCloseJob {
  readonly kind: "eap-tls-close";
  readonly session: string;
}

export interface EapTlsResult {
  /** TLS records to send; may be empty. */
  readonly output: Uint8Array;
  /**
   * Present once this end's handshake is complete, the other end's certificate verified and – with TLS 1.3, at the peer – the
   * server's protected success indication (RFC 9190 §2.1.1) was read.
   */
  readonly finished?: EapTlsFinished | undefined;
  /** This end takes the other no more, or the other this one: `output`, if any, is TLS's alert, and the session is gone. */
  readonly refused?: Failure | undefined;
}

export interface EapTlsFinished {
  /** 64 octets: RFC 5216 §2.3, RFC 9190 §2.3. */
  readonly msk: Uint8Array;
  readonly version: TlsVersion;
  /** The other end's. */
  readonly certificate: PeerCertificate;
}

/** What a conversation rests on: the password that the peer turned out to know, or the other end's certificate. */
export type EapGround =
  | { readonly password: EapSecret }
  | { readonly certificate: PeerCertificate; readonly trust: readonly TrustAnchor[] };

/** How a conversation ended well. */
export interface EapDone {
  readonly method: EapMethod;
  /** Who was authenticated, or at the peer: as whom. */
  readonly identity: string;
  /** 64 octets where the method derives a key. */
  readonly msk: Uint8Array | undefined;
  /** Absent where this end has been told nothing: at the peer with methods that use passwords. */
  readonly ground?: EapGround | undefined;
}

/**
 * What one input of a conversation leads to. At most one of `wait`, `done` and `failed` is there; `send` may stand beside `done`
 * (EAP-Success) and `failed` (EAP-Failure). With `wait`, the next call is `resume…` with the job's outcome.
 */
export interface EapStep<State> {
  readonly state: State;
  readonly send?: EapPayload;
  readonly wait?: EapTlsJob;
  readonly done?: EapDone;
  /** The other end is refused for good, and is yet to be told in the words of the method. `failed` follows, if it answers. */
  readonly refused?: Fault;
  readonly failed?: Fault;
}
