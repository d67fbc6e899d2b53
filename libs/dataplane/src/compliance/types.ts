import type { Family, IpAddress, Prefix } from "@sallyport/base";
import type { DataPlane, DataPlaneEvent } from "../types.js";

/**
 * What the compliance suite needs around two data planes: a gateway each, a host behind each, and the wire between them.
 * `@sallyport/testkit` builds it from network namespaces, with one process a gateway, host and wire.
 *
 * ```
 * left.host ── left ── wire (a router) ── right ── right.host
 * ```
 */
export interface PairUnderTest {
  readonly left: GatewayUnderTest;
  readonly right: GatewayUnderTest;
  readonly wire: WireUnderTest;
  close(): Promise<void>;
}

export interface GatewayUnderTest {
  readonly name: "left" | "right";
  /** Towards the wire. */
  readonly outer: Readonly<Record<Family, IpAddress>>;
  /** A second address towards the wire, for moving SAs. */
  readonly alternate: Readonly<Record<Family, IpAddress>>;
  /** The network that the host is in; traffic for the far one leaves by the wire's default route. */
  readonly network: Readonly<Record<Family, Prefix>>;
  readonly host: HostUnderTest;
  /** The gateway as a host of its own, at `outer`. */
  readonly self: HostUnderTest;
  /** Speaks to the gateway's process; another object after `crash`. */
  readonly dataPlane: DataPlane;
  /** Every event since the last `reset`, in order. */
  readonly events: readonly DataPlaneEvent[];
  /** Resolves with the first event, past or future, that `wanted` accepts; rejects after `timeoutMs` (default 20,000). */
  event<E extends DataPlaneEvent>(wanted: (event: DataPlaneEvent) => event is E, timeoutMs?: number): Promise<E>;
  /** Removes this data plane's entries and forgets its events. */
  reset(): Promise<void>;
  /** Kills the process without warning and starts another. */
  crash(): Promise<void>;
  /** Entries that some other program made in the same place, where the adapter shares a place with others. */
  readonly foreign?: ForeignEntries;
  /** Whether a message from this gateway's IKE socket to the other's is answered, where policies could stop it. */
  readonly ike?: (to: IpAddress) => Promise<boolean>;
}

export interface ForeignEntries {
  /** Adds an SA and a policy. */
  add(): Promise<void>;
  /** How many of them are there. */
  count(): Promise<number>;
  remove(): Promise<void>;
}

export interface EchoRequest {
  readonly to: IpAddress;
  /** Datagrams to send. Default 5. */
  readonly count?: number;
  /** UDP payload octets. Default 64. */
  readonly size?: number;
  /** Milliseconds between datagrams. Default 5. */
  readonly intervalMs?: number;
  /** How long to wait for what is missing after the last datagram. Default 500. */
  readonly waitMs?: number;
  /** Source port. Default: any. */
  readonly fromPort?: number;
  /** Destination port: the host at the far end answers on `ECHO_PORTS`. Default the first. */
  readonly toPort?: number;
}

/** Hosts answer every UDP datagram to these ports with its own payload. */
export const ECHO_PORTS = [7007, 7008] as const;

export interface EchoResult {
  readonly sent: number;
  /** Distinct datagrams that came back unchanged. */
  readonly received: number;
}

export interface HostUnderTest {
  readonly address: Readonly<Record<Family, IpAddress>>;
  echo(request: EchoRequest): Promise<EchoResult>;
}

/** The router between the gateways sees every packet. */
export interface WireUnderTest {
  /** Forgets what was captured and begins anew. */
  capture(): Promise<void>;
  /** IP packets seen since `capture`, each once, from the IP header on, without those of neighbour discovery. */
  captured(): Promise<Uint8Array[]>;
  /** Sends an IP packet on its way as if it had come from its source address. */
  inject(packet: Uint8Array): Promise<void>;
}

/** What one adapter may be excused from, with the reason; everything else has to pass. */
export interface ComplianceOptions {
  /** Names of cases. */
  readonly except?: Readonly<Record<string, string>>;
}

export interface ComplianceCase {
  readonly name: string;
  /** Milliseconds; default 20,000. */
  readonly timeoutMs?: number;
  /** Absent: runs everywhere. Decided from the left gateway's capabilities. */
  applies?(pair: PairUnderTest): boolean;
  run(pair: PairUnderTest): Promise<void>;
}

export interface CaseResult {
  readonly name: string;
  readonly outcome: "passed" | "failed" | "not-applicable";
  readonly milliseconds: number;
  /** Stack of the failure. */
  readonly error?: string;
}
