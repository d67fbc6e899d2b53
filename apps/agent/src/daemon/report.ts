import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { endpointText } from "@sallyport/base";
import {
  type ChildCounters,
  ChildCountersSchema,
  ChildSaSchema,
  IkeSaSchema,
  TunnelStateSchema,
  TunnelStatus,
} from "@sallyport/contract";
import type { SaState } from "@sallyport/dataplane";
import type { ChildStatus, EngineStatus, IkeStatus, LastError, PeerStatus } from "@sallyport/ike";
import { type ConnectionIntent, type GatewayIntent, selectorText } from "@sallyport/intent";
import { type Snapshot, saKey, type TunnelReport } from "../stream/index.js";
import type { Missing } from "./applier.js";
import { eachOf } from "./slices.js";

/** Turns the engine's milliseconds into wall time. */
export type ToWall = (millis: number) => number;

const hex8 = (spi: number) => spi.toString(16).padStart(8, "0");

function childSa(child: ChildStatus, wall: ToWall) {
  return create(ChildSaSchema, {
    childId: child.child,
    inboundSpi: hex8(child.spiIn),
    outboundSpi: hex8(child.spiOut),
    protocol: "esp",
    mode: child.mode,
    proposal: child.suite,
    localTs: child.local.map(selectorText),
    remoteTs: child.remote.map(selectorText),
    establishedAt: timestampFromMs(wall(child.establishedAt)),
    ...(child.rekeyAt === undefined ? {} : { nextRekeyAt: timestampFromMs(wall(child.rekeyAt)) }),
    ...(child.expireAt === undefined ? {} : { expiresAt: timestampFromMs(wall(child.expireAt)) }),
    udpEncapsulation: child.encapsulated,
  });
}

function ikeSa(sa: IkeStatus, wall: ToWall) {
  return create(IkeSaSchema, {
    initiatorSpi: sa.spiInitiator,
    responderSpi: sa.spiResponder,
    ikeVersion: 2,
    initiator: sa.initiator,
    state: sa.state,
    localEndpoint: endpointText(sa.local),
    remoteEndpoint: endpointText(sa.remote),
    localIdentity: sa.localId ?? "",
    remoteIdentity: sa.remoteId ?? "",
    proposal: sa.suite,
    keyId: sa.keyId ?? "",
    ...(sa.establishedAt === undefined ? {} : { establishedAt: timestampFromMs(wall(sa.establishedAt)) }),
    ...(sa.rekeyAt === undefined ? {} : { nextRekeyAt: timestampFromMs(wall(sa.rekeyAt)) }),
    localNat: sa.nat.local,
    remoteNat: sa.nat.remote,
    children: sa.children.map((c) => childSa(c, wall)),
    localVirtualAddresses: (sa.virtual?.local ?? []).map(String),
    remoteVirtualAddresses: (sa.virtual?.remote ?? []).map(String),
    user: sa.user ?? "",
  });
}

const isUp = (child: ChildStatus) => child.state !== "installing" && child.state !== "deleting";

/** UP: every CHILD SA that the intent wants to stand is there; those that wait for a packet or for the peer count once they stand. */
export function tunnelStatus(connection: ConnectionIntent, peer: PeerStatus | undefined): TunnelStatus {
  const sas = peer?.sas ?? [];
  const missing = new Set(connection.children.map((c) => c.id));
  let established = false;
  for (const sa of sas) {
    if (sa.establishedAt === undefined || sa.state === "deleting") continue;
    established = true;
    for (const child of sa.children) if (isUp(child)) missing.delete(child.child);
    if (missing.size === 0) return TunnelStatus.UP;
  }
  if (established) return TunnelStatus.PARTIAL;
  return sas.length > 0 ? TunnelStatus.CONNECTING : TunnelStatus.DOWN;
}

/** The newest of what went wrong with the peer or one of its children, or before the engine was even asked. */
export function newestError(peer: PeerStatus | undefined, missing?: Missing): LastError | undefined {
  const lack = missing && { code: missing.why.code, message: missing.why.message, exchange: "", at: missing.at };
  const errors = [lack, peer?.lastError, ...Object.values(peer?.childErrors ?? {})].filter((e) => e !== undefined);
  return errors.sort((a, b) => b.at - a.at)[0];
}

/** SAs that are worked on between two interruptions of a report. */
export const SAS_AT_ONCE = 32;

/** What is told of each connection of the intent. `changedAt` is the wall time at which its status was first seen. */
export function* tunnelStates(
  intent: GatewayIntent,
  status: EngineStatus,
  missing: ReadonlyMap<string, Missing>,
  wall: ToWall,
  changedAt: (tunnel: string, status: TunnelStatus) => number,
): Generator<undefined, Snapshot> {
  const peers = new Map(status.peers.map((p) => [p.peer, p]));
  const out = new Map<string, TunnelReport>();
  for (const connection of intent.connections) {
    const peer = peers.get(connection.id);
    const state = tunnelStatus(connection, peer);
    const error = newestError(peer, missing.get(connection.id));
    const told = create(TunnelStateSchema, {
      tunnelId: connection.id,
      status: state,
      changedAt: timestampFromMs(changedAt(connection.id, state)),
      ...(error && {
        lastError: {
          code: error.code,
          message: error.message,
          ours: error.ours ?? "",
          theirs: error.theirs ?? "",
          exchange: error.exchange,
          at: timestampFromMs(wall(error.at)),
        },
      }),
    });
    const sas = yield* eachOf(peer?.sas ?? [], SAS_AT_ONCE, (sa) => {
      const one = ikeSa(sa, wall);
      return [saKey(one), one] as const;
    });
    out.set(connection.id, { state: told, sas: new Map(sas) });
    if (out.size % SAS_AT_ONCE === 0) yield;
  }
  return out;
}

/** SAs of the data plane by direction and SPI, as in `in 4711`. */
export function* sasBySpi(listed: readonly SaState[]): Generator<undefined, ReadonlyMap<string, SaState>> {
  const out = new Map<string, SaState>();
  for (const sa of listed) if (out.set(`${sa.direction} ${sa.spi}`, sa).size % 256 === 0) yield;
  return out;
}

/** Counters of every CHILD SA, by what the data plane has listed. */
export function* childCounters(
  status: EngineStatus,
  listed: readonly SaState[],
  now: number,
): Generator<undefined, ChildCounters[]> {
  const bySpi = yield* sasBySpi(listed);
  const out: ChildCounters[] = [];
  for (const { peer, sas } of status.peers) {
    const ofEach = yield* eachOf(sas, SAS_AT_ONCE, (sa) =>
      sa.children.filter(isUp).flatMap((child) => {
        const inbound = bySpi.get(`in ${child.spiIn}`);
        const outbound = bySpi.get(`out ${child.spiOut}`);
        return inbound || outbound ? countersOf(peer, child, inbound, outbound, now) : [];
      }),
    );
    for (const counters of ofEach) out.push(...counters);
  }
  return out;
}

function countersOf(
  tunnelId: string,
  child: ChildStatus,
  inbound: SaState | undefined,
  outbound: SaState | undefined,
  now: number,
): ChildCounters {
  return create(ChildCountersSchema, {
    tunnelId,
    childId: child.child,
    inboundSpi: hex8(child.spiIn),
    bytesIn: inbound?.bytes ?? 0n,
    bytesOut: outbound?.bytes ?? 0n,
    packetsIn: inbound?.packets ?? 0n,
    packetsOut: outbound?.packets ?? 0n,
    errorsIn: BigInt((inbound?.integrityFailures ?? 0) + (inbound?.replayed ?? 0) + (inbound?.outOfWindow ?? 0)),
    ...(inbound?.idleSeconds === undefined
      ? {}
      : { lastPacketInAt: timestampFromMs(Math.round(now - inbound.idleSeconds * 1000)) }),
  });
}
