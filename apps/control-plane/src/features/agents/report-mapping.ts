import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import { IpAddress } from "@sallyport/base";
import {
  type ChildCounters,
  type ChildSa,
  type Event,
  type IkeSa,
  type IkeSaKey,
  type Problem,
  type SeenCertificate,
  Severity,
  type TunnelError,
  type TunnelState,
  TunnelStatus,
} from "@sallyport/contract";
import { foreignText } from "../../platform/foreign-text.js";
import type { Sighting } from "../certificates/sightings.service.js";
import type { AgentEvent } from "../events/event.service.js";
import type {
  ChildSaReport,
  CounterReport,
  IkeSaName,
  IkeSaReport,
  TunnelErrorReport,
  TunnelReport,
} from "../tunnels/tunnel-state.service.js";

/** Addresses that the configuration payload gave to one side. */
const MAX_VIRTUAL = 16;
const text = foreignText;
const optional = (value: string) => (value === "" ? undefined : text(value));

/** Dates that JavaScript and PostgreSQL both hold; nonsense becomes undefined. */
function date(value: Timestamp | undefined): Date | undefined {
  if (value === undefined) return undefined;
  const at = timestampDate(value);
  return at.getTime() > 0 && at.getFullYear() < 10_000 ? at : undefined;
}

const STATUS: Readonly<Record<TunnelStatus, TunnelReport["status"]>> = {
  [TunnelStatus.UNSPECIFIED]: "down",
  [TunnelStatus.DOWN]: "down",
  [TunnelStatus.CONNECTING]: "connecting",
  [TunnelStatus.UP]: "up",
  [TunnelStatus.PARTIAL]: "partial",
};

/** A tunnel's key of any length, as it may stand in a row. */
export const tunnelKey = (id: string) => text(id, 64);

export const ikeSaName = (of: IkeSaKey): IkeSaName => ({
  key: tunnelKey(of.tunnelId),
  initiatorSpi: text(of.initiatorSpi, 16),
  responderSpi: text(of.responderSpi, 16),
});

export function tunnelReport(state: TunnelState, now: Date): TunnelReport {
  return {
    key: tunnelKey(state.tunnelId),
    status: STATUS[state.status] ?? "down",
    changedAt: date(state.changedAt) ?? now,
    lastError: state.lastError && errorReport(state.lastError, now),
  };
}

function errorReport(error: TunnelError, now: Date): TunnelErrorReport {
  return {
    code: text(error.code, 64),
    message: text(error.message),
    ours: optional(error.ours),
    theirs: optional(error.theirs),
    exchange: optional(error.exchange),
    at: date(error.at) ?? now,
  };
}

export function ikeSaReport(sa: IkeSa): IkeSaReport {
  return {
    initiatorSpi: text(sa.initiatorSpi, 16),
    responderSpi: text(sa.responderSpi, 16),
    version: sa.ikeVersion,
    initiator: sa.initiator,
    state: text(sa.state, 32),
    localEndpoint: text(sa.localEndpoint, 64),
    remoteEndpoint: text(sa.remoteEndpoint, 64),
    localIdentity: text(sa.localIdentity),
    remoteIdentity: text(sa.remoteIdentity),
    proposal: text(sa.proposal),
    keyId: optional(sa.keyId),
    natLocal: sa.localNat,
    natRemote: sa.remoteNat,
    establishedAt: date(sa.establishedAt),
    nextRekeyAt: date(sa.nextRekeyAt),
    nextReauthAt: date(sa.nextReauthenticationAt),
    localVirtual: addresses(sa.localVirtualAddresses),
    remoteVirtual: addresses(sa.remoteVirtualAddresses),
    user: optional(sa.user),
    childSas: [...new Map(sa.children.map(childSaReport).map((c) => [`${c.inboundSpi} ${c.outboundSpi}`, c])).values()],
  };
}

/** Those that are addresses, in their canonical form. */
function addresses(texts: readonly string[]): string[] {
  return texts.slice(0, MAX_VIRTUAL).flatMap((address) => {
    try {
      return [IpAddress.parse(address).toString()];
    } catch {
      return [];
    }
  });
}

function childSaReport(sa: ChildSa): ChildSaReport {
  return {
    name: text(sa.childId, 64),
    protocol: text(sa.protocol, 8),
    mode: text(sa.mode, 16),
    inboundSpi: text(sa.inboundSpi, 8),
    outboundSpi: text(sa.outboundSpi, 8),
    localSelectors: sa.localTs.slice(0, 256).map((ts) => text(ts, 128)),
    remoteSelectors: sa.remoteTs.slice(0, 256).map((ts) => text(ts, 128)),
    proposal: text(sa.proposal),
    encapsulated: sa.udpEncapsulation,
    establishedAt: date(sa.establishedAt),
    nextRekeyAt: date(sa.nextRekeyAt),
    expiresAt: date(sa.expiresAt),
  };
}

/** PostgreSQL's bigint is signed. */
const MAX_COUNT = 2n ** 63n - 1n;
const counter = (value: bigint) => (value > MAX_COUNT ? MAX_COUNT : value);

export function counterReport(c: ChildCounters): CounterReport {
  return {
    key: text(c.tunnelId, 64),
    inboundSpi: text(c.inboundSpi, 8),
    bytesIn: counter(c.bytesIn),
    bytesOut: counter(c.bytesOut),
    packetsIn: counter(c.packetsIn),
    packetsOut: counter(c.packetsOut),
    errorsIn: counter(c.errorsIn),
    lastPacketInAt: date(c.lastPacketInAt),
  };
}

export function agentEvent(event: Event, now: Date): AgentEvent {
  const severity =
    event.severity === Severity.ERROR ? "ERROR" : event.severity === Severity.WARNING ? "WARNING" : "INFO";
  const facts = Object.entries(event.facts).slice(0, 32);
  return {
    sourceId: text(event.id, 64),
    kind: text(event.code, 64),
    severity,
    message: text(event.message),
    facts: Object.fromEntries(facts.map(([key, value]) => [text(key, 64), text(value)])),
    tunnelKey: optional(event.tunnelId),
    refusal: event.refusal && {
      who: optional(event.refusal.identity),
      remote: text(event.refusal.remote, 64),
      times: Math.max(event.refusal.times, 1),
    },
    at: date(event.at) ?? now,
  };
}

/** Larger ones are not kept. */
const MAX_CERTIFICATE_BYTES = 8 * 1024;

export function sightingReport({ certificate, tunnelId, identity, at }: SeenCertificate, now: Date): Sighting[] {
  if (certificate.length === 0 || certificate.length > MAX_CERTIFICATE_BYTES) return [];
  return [{ certificate, connection: tunnelKey(tunnelId), identity: text(identity), at: date(at) ?? now }];
}

/** Short enough for any bus. */
export function commandProblem(problem: Problem | undefined) {
  return {
    code: text(problem?.code || "agent/unknown", 64),
    message: text(problem?.message || "the agent does not say why"),
    field: optional(problem?.field ?? ""),
    value: optional(problem?.value ?? ""),
    expected: optional(problem?.expected ?? ""),
  };
}
