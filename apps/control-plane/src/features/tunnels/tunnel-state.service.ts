/** One gateway's view of one tunnel, without its IKE SAs. Times are of the control plane's clock or the agent's; SPIs are lower-case hexadecimal. */
export interface TunnelReport {
  /** The connection's id in the intent. */
  readonly key: string;
  readonly status: "down" | "connecting" | "up" | "partial";
  readonly changedAt: Date;
  readonly lastError: TunnelErrorReport | undefined;
}

export interface TunnelErrorReport {
  readonly code: string;
  readonly message: string;
  readonly ours: string | undefined;
  readonly theirs: string | undefined;
  readonly exchange: string | undefined;
  readonly at: Date;
}

export interface IkeSaReport {
  readonly initiatorSpi: string;
  readonly responderSpi: string;
  readonly version: number;
  readonly initiator: boolean;
  readonly state: string;
  readonly localEndpoint: string;
  readonly remoteEndpoint: string;
  readonly localIdentity: string;
  readonly remoteIdentity: string;
  readonly proposal: string;
  readonly natLocal: boolean;
  readonly natRemote: boolean;
  readonly establishedAt: Date | undefined;
  readonly nextRekeyAt: Date | undefined;
  readonly nextReauthAt: Date | undefined;
  /** What the configuration payload gave to the reporting gateway, and to the other side. */
  readonly localVirtual: readonly string[];
  readonly remoteVirtual: readonly string[];
  /** Whom EAP has authenticated. */
  readonly user: string | undefined;
  /** Of the pre-shared key that the other end proved itself by. */
  readonly keyId: string | undefined;
  readonly childSas: readonly ChildSaReport[];
}

/** Names an IKE SA of a tunnel. */
export interface IkeSaName {
  /** The connection's id in the intent. */
  readonly key: string;
  readonly initiatorSpi: string;
  readonly responderSpi: string;
}

/** An IKE SA that is new or changed. */
export interface SaReport {
  readonly key: string;
  readonly mark: string;
  readonly sa: IkeSaReport;
}

/**
 * A piece of what a gateway reports, that is written at once. Rows bear the mark, a UUID, of the report that named them last: what a
 * report in many pieces did not name is told by that when its last piece is written.
 */
export interface StateBatch {
  readonly mark: string;
  readonly tunnels: readonly TunnelReport[];
  /** Ends that are down, and have no SAs. */
  readonly removedKeys: readonly string[];
  /** Each IKE SA and each of its CHILD SAs once. */
  readonly ikeSas: readonly SaReport[];
  readonly removedIkeSas: readonly IkeSaName[];
  /** Tunnels by key, all of whose IKE SAs are named by now: those that bear another mark are gone. */
  readonly settled: ReadonlyMap<string, string>;
  /** With it a complete report ends: ends that bear another mark are down, and with `with-sas` IKE SAs that do are gone. */
  readonly completes: "no" | "tunnels" | "with-sas";
}

export interface ChildSaReport {
  readonly name: string;
  readonly protocol: string;
  readonly mode: string;
  readonly inboundSpi: string;
  readonly outboundSpi: string;
  readonly localSelectors: readonly string[];
  readonly remoteSelectors: readonly string[];
  readonly proposal: string;
  readonly encapsulated: boolean;
  readonly establishedAt: Date | undefined;
  readonly nextRekeyAt: Date | undefined;
  readonly expiresAt: Date | undefined;
}

/** Octets and packets since the SA was made. */
export interface CounterReport {
  readonly key: string;
  readonly inboundSpi: string;
  readonly bytesIn: bigint;
  readonly bytesOut: bigint;
  readonly packetsIn: bigint;
  readonly packetsOut: bigint;
  readonly errorsIn: bigint;
  readonly lastPacketInAt: Date | undefined;
}

/**
 * What became of a batch. `replaced`: the gateway has a newer stream, and nothing is written of what this one told. `in-part`: it names
 * more SAs than are kept of one gateway, and those beyond are not written. `room`: written, and there is room for what was left out before.
 */
export type ReportOutcome = "replaced" | "written" | "in-part" | "room";

/** Takes what agents tell of their tunnels. Tunnels that the gateway has no end of are ignored. */
export abstract class TunnelStateService {
  abstract report(gatewayId: string, streamId: string, batch: StateBatch): Promise<ReportOutcome>;
  /** Whether the gateway has an end of a tunnel that it has told nothing of, and has not left out of a complete report either. */
  abstract untold(gatewayId: string): Promise<boolean>;
  /** Counters of CHILD SAs that are known; of others they are dropped. */
  abstract counters(gatewayId: string, at: Date, counters: readonly CounterReport[]): Promise<void>;
}
