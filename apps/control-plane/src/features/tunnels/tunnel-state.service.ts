/** One gateway's view of one tunnel. Times are of the control plane's clock or the agent's; SPIs are lower-case hexadecimal. */
export interface TunnelReport {
  /** The connection's id in the intent. */
  readonly key: string;
  readonly status: "down" | "connecting" | "up" | "partial";
  readonly changedAt: Date;
  readonly ikeSas: readonly IkeSaReport[];
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
  readonly childSas: readonly ChildSaReport[];
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

/** Takes what agents tell of their tunnels. Tunnels that the gateway has no end of are ignored. */
export abstract class TunnelStateService {
  /** With `complete`, ends of the gateway that the report does not name are down. */
  abstract report(
    gatewayId: string,
    tunnels: readonly TunnelReport[],
    options: { readonly complete: boolean; readonly removedKeys: readonly string[] },
  ): Promise<void>;
  /** Counters of CHILD SAs that are known; of others they are dropped. */
  abstract counters(gatewayId: string, at: Date, counters: readonly CounterReport[]): Promise<void>;
}
