import { create, equals } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { endpointText } from "@sallyport/base";
import {
  type ChildCounters,
  ChildCountersSchema,
  ChildSaSchema,
  type IkeSa,
  IkeSaSchema,
  TunnelStateSchema,
  TunnelStatus,
} from "@sallyport/contract";
import type { SaState } from "@sallyport/dataplane";
import type { ChildStatus, EngineStatus, IkeStatus, LastError, PeerStatus } from "@sallyport/ike";
import { type ConnectionIntent, type GatewayIntent, selectorText } from "@sallyport/intent";
import { type Snapshot, saKey, type TunnelReport } from "../stream/index.js";
import type { Missing } from "./applier.js";

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

/** What the engine reports, with its IKE SAs handed to `visit` one by one. */
export type Reporting = (visit: (sa: IkeStatus) => void) => Generator<undefined, EngineStatus>;

/** What was seen of the IKE SAs of one tunnel. */
class Sight {
  readonly sas = new Map<string, IkeSa>();
  established = false;
  /** Ids. */
  readonly childrenUp = new Set<string>();

  see({ establishedAt, state, children }: IkeStatus): void {
    if (establishedAt === undefined || state === "deleting") return;
    this.established = true;
    for (const child of children) if (isUp(child)) this.childrenUp.add(child.child);
  }
}

/** UP: every CHILD SA that the intent wants to stand is there; those that wait for a packet or for the peer count once they stand. */
function tunnelStatus(connection: ConnectionIntent, { sas, established, childrenUp }: Sight): TunnelStatus {
  if (!established) return sas.size > 0 ? TunnelStatus.CONNECTING : TunnelStatus.DOWN;
  return connection.children.every((c) => childrenUp.has(c.id)) ? TunnelStatus.UP : TunnelStatus.PARTIAL;
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
  report: Reporting,
  known: Snapshot,
  missing: ReadonlyMap<string, Missing>,
  wall: ToWall,
  changedAt: (tunnel: string, status: TunnelStatus) => number,
): Generator<undefined, Snapshot> {
  const sights = new Map<string, Sight>();
  const status = yield* report((sa) => {
    const id = sa.peer ?? "";
    const sight = sights.get(id) ?? new Sight();
    sights.set(id, sight);
    sight.see(sa);
    const told = ikeSa(sa, wall);
    const key = saKey(told);
    const before = known.get(id)?.sas.get(key);
    // Tens of thousands that stay as they are leave no garbage that lasts.
    sight.sas.set(key, before && equals(IkeSaSchema, before, told) ? before : told);
  });
  const peers = new Map(status.peers.map((p) => [p.peer, p]));
  const out = new Map<string, TunnelReport>();
  for (const connection of intent.connections) {
    const peer = peers.get(connection.id);
    const sight = sights.get(connection.id) ?? new Sight();
    const state = tunnelStatus(connection, sight);
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
    out.set(connection.id, { state: told, sas: sight.sas });
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
  report: Reporting,
  listed: readonly SaState[],
  now: number,
): Generator<undefined, ChildCounters[]> {
  const bySpi = yield* sasBySpi(listed);
  const out: ChildCounters[] = [];
  yield* report(({ peer = "", children }) => {
    for (const child of children) {
      const inbound = bySpi.get(`in ${child.spiIn}`);
      const outbound = bySpi.get(`out ${child.spiOut}`);
      if (isUp(child) && (inbound || outbound)) out.push(countersOf(peer, child, inbound, outbound, now));
    }
  });
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
