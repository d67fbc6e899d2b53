import type { Endpoint, IpAddress } from "@sallyport/base";
import type { AddressSpec, DataPlane, DataPlaneEvent, PolicySpec, SaState } from "@sallyport/dataplane";
import type { Identity, IdentityMatch, IkeConfig, TrustAnchor } from "./config.js";
import type { DhGroup, DhKeyPair, PeerCertificate, SignatureName, SignatureScheme } from "./crypto/types.js";
import type { EapTlsCloseJob, EapTlsJob, EapTlsResult } from "./eap/types.js";
import type { Failure } from "./failure.js";
import type { IkeEvent, VirtualAddresses } from "./status.js";

export * from "./config.js";
export type { PeerCertificate } from "./crypto/types.js";
export type { Failure } from "./failure.js";
export * from "./status.js";

/** Milliseconds of a monotonic clock; every input carries the current one. */
export type Millis = number;
/** Names an effect whose result the engine waits for; unique within one engine. */
export type EffectId = number;
/** Names a timer; unique within one engine. */
export type TimerId = number;

/**
 * Work with private keys or large numbers, plain data, answered at once or from another thread. `dh-respond` is `dh-generate` and `dh-compute` in one job. `verify` judges the signature, the certificate's path to one of
 * `trust`, and – unless `identity.match` is `ignore` – that the certificate proves `peer`.
 */
export type CryptoJob =
  | { readonly kind: "dh-generate"; readonly group: DhGroup }
  | { readonly kind: "dh-compute"; readonly pair: DhKeyPair; readonly peerValue: Uint8Array }
  | { readonly kind: "dh-respond"; readonly group: DhGroup; readonly peerValue: Uint8Array }
  | {
      readonly kind: "sign";
      /** `LocalAuth.key`. */
      readonly key: string;
      readonly scheme: SignatureScheme;
      readonly octets: Uint8Array;
    }
  | {
      readonly kind: "verify";
      /** AUTH method and data as received: RFC 7296 §3.8, RFC 4754, RFC 7427 §3. */
      readonly auth: { readonly method: number; readonly data: Uint8Array };
      readonly octets: Uint8Array;
      /** DER as received, end entity first. */
      readonly certificates: readonly Uint8Array[];
      readonly trust: readonly TrustAnchor[];
      /** As in `RemoteAuth`: when there are any, `trust` and `peer` are not looked at. */
      readonly pinned?: readonly Uint8Array[] | undefined;
      readonly signatures?: readonly SignatureName[] | undefined;
      readonly peer: Identity;
      readonly identity: IdentityMatch;
    }
  | EapTlsJob
  | EapTlsCloseJob;

/** What a job gives, by `CryptoJob.kind`. */
export interface CryptoResults {
  "dh-generate": { readonly pair: DhKeyPair };
  "dh-compute": { readonly shared: Uint8Array };
  "dh-respond": { readonly publicValue: Uint8Array; readonly shared: Uint8Array };
  /** AUTH payload data. */
  sign: { readonly data: Uint8Array };
  verify: PeerCertificate;
  "eap-tls": EapTlsResult;
  "eap-tls-close": Readonly<Record<string, never>>;
}
export type CryptoResult = CryptoResults[keyof CryptoResults];

type DataPlaneMethod =
  | "allocateSpi"
  | "installSa"
  | "moveSa"
  | "removeSa"
  | "querySa"
  | "installPolicy"
  | "removePolicy"
  | "installRoute"
  | "removeRoute"
  | "installAddress"
  | "removeAddress"
  | "installSourceNat"
  | "removeSourceNat";

/** A call of the data plane port: `dataPlane[op.op](...op.args)`. */
export type DataPlaneOp = {
  [M in DataPlaneMethod]: { readonly op: M; readonly args: Parameters<DataPlane[M]> };
}[DataPlaneMethod];

/**
 * What the engine wants done, in order; a result that is there at once is handed in after the whole list has been carried out.
 * Data plane effects are carried out strictly one after another in the order of emission, each list of `ops` from first to
 * last, ending at the first that fails. A datagram leaves when the data plane effects before it in its list are done.
 */
export type Effect =
  /** `datagram` is the IKE message; on sockets of `IkeConfig.natPort` the runner puts the non-ESP marker before it (RFC 3948 §2.2). */
  | { readonly do: "send"; readonly local: Endpoint; readonly remote: Endpoint; readonly datagram: Uint8Array }
  /** One octet 0xFF without marker (RFC 3948 §2.3). */
  | { readonly do: "keepalive"; readonly local: Endpoint; readonly remote: Endpoint }
  /** Replaces what was armed under the same id; fires once. */
  | { readonly do: "arm"; readonly timer: TimerId; readonly at: Millis }
  | { readonly do: "disarm"; readonly timer: TimerId }
  /**
   * `id` 0, of both kinds: nobody waits; the runner logs a failure and carries out the other ops all the same. Of ops that are waited
   * for, it ends with the first that fails.
   */
  | { readonly do: "crypto"; readonly id: EffectId; readonly job: CryptoJob }
  | { readonly do: "dataplane"; readonly id: EffectId; readonly ops: readonly DataPlaneOp[] }
  /** Asks from which address packets to each of `remotes` would leave; answered by `routed`. */
  | { readonly do: "route"; readonly id: EffectId; readonly remotes: readonly IpAddress[] }
  | { readonly do: "emit"; readonly event: IkeEvent }
  /** A message of a peer whose messages are traced: the header in words, then each payload; nothing secret in it. */
  | {
      readonly do: "trace";
      readonly at: Millis;
      readonly peer: string;
      readonly direction: "in" | "out";
      readonly local: Endpoint;
      readonly remote: Endpoint;
      readonly lines: readonly string[];
    };

/** What the operator or the agent asks for; `peer` and `child` are config ids. */
export type Command =
  /** Brings up the peer's IKE SA and, given `child`, that child; without it every child with `startAction` other than `none`. */
  | { readonly command: "initiate"; readonly peer: string; readonly child?: string }
  /** Deletes the IKE SAs of the peer, or only the SAs of `child`; stays down until the next `initiate`, packet or request of the peer. */
  | { readonly command: "terminate"; readonly peer: string; readonly child?: string }
  | { readonly command: "rekey-ike"; readonly peer: string }
  /** Authenticates anew, as `PeerConfig.reauthentication.mode` has it, whatever its interval; nothing where this end cannot call. */
  | { readonly command: "reauthenticate"; readonly peer: string }
  | { readonly command: "rekey-child"; readonly peer: string; readonly child: string }
  /** Ends every IKE SA whose peer proved itself by the certificate of this fingerprint, for the reason of `failure`. */
  | { readonly command: "distrust"; readonly fingerprint: string; readonly failure: Failure }
  /** Has every message of the peer told in words (`Effect` `trace`), or no more. */
  | { readonly command: "trace"; readonly peer: string; readonly on: boolean }
  /** A liveness check now. */
  | { readonly command: "probe"; readonly peer: string }
  /** Deletes every SA, removes every policy and starts nothing more. Without it, an agent that just stops leaves the data plane as it is. */
  | { readonly command: "shutdown" };

/** Whose a virtual address is. */
export interface Lessee {
  /** Address of this end's outer endpoint. */
  readonly local: IpAddress;
  readonly virtual: VirtualAddresses;
}

export type Input =
  /** `datagram` without the non-ESP marker. The engine keeps no reference to it. */
  | {
      readonly on: "datagram";
      readonly now: Millis;
      readonly local: Endpoint;
      readonly remote: Endpoint;
      readonly datagram: Uint8Array;
    }
  | { readonly on: "timer"; readonly now: Millis; readonly timer: TimerId }
  | { readonly on: "crypto-done"; readonly now: Millis; readonly id: EffectId; readonly result: CryptoResult }
  /** `values`: what each op resolved to. */
  | { readonly on: "dataplane-done"; readonly now: Millis; readonly id: EffectId; readonly values: readonly unknown[] }
  /** A job was refused (bad signature, untrusted chain, bad public value …) or op number `at` failed. */
  | {
      readonly on: "failed";
      readonly now: Millis;
      readonly id: EffectId;
      readonly at: number;
      readonly failure: Failure;
    }
  /** In the order of the question; undefined: no way there. */
  | {
      readonly on: "routed";
      readonly now: Millis;
      readonly id: EffectId;
      readonly sources: readonly (IpAddress | undefined)[];
    }
  /** Links, addresses or routes of this machine have changed; `addresses` are all that it has now. */
  | { readonly on: "network"; readonly now: Millis; readonly addresses: readonly IpAddress[] }
  | { readonly on: "command"; readonly now: Millis; readonly command: Command }
  | { readonly on: "dataplane"; readonly now: Millis; readonly event: DataPlaneEvent }
  /** The first one starts the engine. Later ones touch only peers and children that differ by value. */
  | { readonly on: "config"; readonly now: Millis; readonly config: IkeConfig }
  /**
   * What the data plane kept from an earlier run, before the first `config`. SAs of a known reqid stay until a new CHILD SA of
   * that reqid replaces them or they expire; those of no configured child are removed.
   */
  | {
      readonly on: "adopt";
      readonly now: Millis;
      readonly sas: readonly SaState[];
      readonly policies: readonly PolicySpec[];
      /** Addresses that peers gave; they stay until a peer gives others, or none is asked any more. */
      readonly addresses?: readonly AddressSpec[];
    };
