import type { IpAddress, Prefix } from "@sallyport/base";
import type { SaId, SaLifetime, SaSpec, Selector, SourceNatSpec } from "@sallyport/dataplane";
import type { DataPlaneOp, Millis } from "../api.js";
import type { ChildConfig, TrafficRange } from "../config.js";
import { deriveChildKeys } from "../crypto/index.js";
import type { DownReason } from "../status.js";
import { selectorsOf } from "./affordable.js";
import { childChange } from "./changes.js";
import type { Agreed, Built, Child, Path } from "./child-sa.js";
import type { Core } from "./core.js";
import { fault } from "./faults.js";
import type { Entries } from "./holdings.js";
import { once } from "./memo.js";
import { configured, endsOf, rangesText, sameRanges } from "./narrow.js";
import { lower } from "./new-sa.js";
import { pathOf, place } from "./paths.js";
import { enqueue } from "./queue.js";
import { childStatus, ikeStatus } from "./report.js";
import type { IkeSa } from "./sa.js";
import { allReversed } from "./selectors.js";
import { entriesOf, hold, release } from "./traps.js";
import type { Turn } from "./turn.js";

/** After this the responder of a rekey sends on the new SA even though the old one was not deleted (RFC 7296 §2.8). */
const SWITCH_MS = 10_000;
/** When it looks first whether the peer sends on the new SA, and so can receive on it. */
const LOOK_MS = 250;
/** The same where a new IKE SA replaces one that goes without a Delete, and whose SAs the peer still has: before that one is dropped. */
const TAKEOVER_MS = 400;

const switchoverOf = ({ rekeys }: Agreed, now: Millis): Child["switchover"] =>
  rekeys ? { at: now + SWITCH_MS, lookAt: now + LOOK_MS } : { at: now + TAKEOVER_MS, lookAt: undefined };

/** The time of a soft limit: `soft` seconds less a random part of `jitter`, so that two ends rarely begin at once. */
export function softAt(
  turn: Turn,
  lifetime: { readonly soft: number; readonly jitter: number },
  now: Millis,
): Millis | undefined {
  if (lifetime.soft <= 0) return undefined;
  return now + Math.max(1, lifetime.soft - turn.core.fraction() * lifetime.jitter) * 1000;
}

export function hardAt(lifetime: { readonly hard: number }, now: Millis): Millis | undefined {
  return lifetime.hard > 0 ? now + lifetime.hard * 1000 : undefined;
}

const lifetimes = new WeakMap<ChildConfig, SaLifetime>();

/** SAs of one child share it. */
function lifetimeOf(config: ChildConfig): SaLifetime {
  const { hard, softBytes, hardBytes, softPackets, hardPackets } = config.lifetime;
  return once(lifetimes, config, () => ({
    ...(hard > 0 ? { hardSeconds: hard } : {}),
    ...(softBytes ? { softBytes } : {}),
    ...(hardBytes ? { hardBytes } : {}),
    ...(softPackets ? { softPackets } : {}),
    ...(hardPackets ? { hardPackets } : {}),
  }));
}

/** Keys and SAs of an agreed CHILD SA (RFC 7296 §2.17). Its selectors have been found few enough. */
export function build(turn: Turn, sa: IkeSa, a: Agreed): Built {
  const selectors = selectorsOf(a);
  if (!selectors || !sa.keys || !sa.suite) throw fault("ike/unexpected", "no keys or too many selectors");
  const keys = deriveChildKeys({
    suite: a.suite,
    prf: sa.suite.prf,
    d: sa.keys.d,
    ni: a.ni,
    nr: a.nr,
    ...(a.shared ? { sharedSecret: a.shared } : {}),
  });
  if (a.shared) turn.wipe(a.shared);
  const [sending, receiving] = a.ours ? [keys.initiator, keys.responder] : [keys.responder, keys.initiator];
  const path = pathOf(sa);
  const inbound = specOf(a, path, "in", receiving, allReversed(selectors));
  const outbound = specOf(a, path, "out", sending, selectors);
  const held = !a.ours && (a.rekeys || a.takesOver);
  const child: Child = {
    serial: turn.core.newSerial(),
    config: a.config,
    state: "installed",
    mode: a.mode,
    path,
    suite: a.suite,
    reqid: a.reqid,
    spiIn: a.spiIn,
    spiOut: a.spiOut,
    local: a.local,
    remote: a.remote,
    heldOutbound: held ? outbound : undefined,
    sending: !held,
    switchover: held ? switchoverOf(a, turn.now) : undefined,
    establishedAt: turn.now,
    rekeyAt: softAt(turn, a.config.lifetime, turn.now),
    expireAt: hardAt(a.config.lifetime, turn.now),
    lowestNonce: new Uint8Array(lower(a.ni, a.nr)),
    ours: a.ours,
    rivalSerial: undefined,
    replacedBy: undefined,
  };
  return { child, inbound, outbound };
}

/** One direction of a CHILD SA for the data plane. */
function specOf(
  a: Agreed,
  path: Path,
  direction: "in" | "out",
  keys: { readonly encryption: Uint8Array; readonly integrity: Uint8Array },
  selectors: readonly Selector[],
): SaSpec {
  const { suite, config } = a;
  const inbound = direction === "in";
  const spec: { -readonly [F in keyof SaSpec]: SaSpec[F] } = {
    ...place(path, direction),
    protocol: "esp",
    spi: inbound ? a.spiIn : a.spiOut,
    direction,
    mode: a.mode,
    reqid: a.reqid,
    encryption: { algorithm: suite.encryption ?? "null", key: keys.encryption },
    esn: suite.esn,
    replayWindow: inbound ? config.replayWindow : 0,
    lifetime: lifetimeOf(config),
    selectors,
  };
  if (suite.integrity) spec.integrity = { algorithm: suite.integrity, key: keys.integrity };
  if (config.dontFragment) spec.dontFragment = config.dontFragment;
  if (inbound) return spec;
  if (a.tfc > 0 && a.mode === "tunnel") spec.tfc = a.tfc;
  if (config.pathMtu) spec.pathMtu = config.pathMtu;
  if (config.clampMss === false) spec.clampMss = false;
  return spec;
}

/**
 * The reqid of a CHILD SA: the child's own with the configured selectors, one of these selectors alone with narrower ones or where
 * each peer has its own.
 */
export function reqidOf(
  turn: Turn,
  sa: IkeSa,
  config: ChildConfig,
  local: readonly TrafficRange[],
  remote: readonly TrafficRange[],
): number {
  const state = sa.peer && turn.core.peers.get(sa.peer.id);
  const base = state?.children.get(config.id)?.reqid ?? 0;
  const have = configured(config, endsOf(sa));
  const shared = config.remote.length > 0 || (sa.peer?.remote.endpoint !== undefined && !sa.virtual?.remote.length);
  if (base !== 0 && shared && !config.template && sameRanges(local, have.local) && sameRanges(remote, have.remote))
    return config.level === "unique" && isOthers(turn, sa, base)
      ? turn.reqidFor(`${sa.peer?.id}/${config.id} of ${sa.identity ?? sa.spiI}`)
      : base;
  return turn.reqidFor(`${sa.peer?.id}/${config.id} ${rangesText(local)} ${rangesText(remote)}`);
}

/** Whether somebody else's packets go by SAs of this reqid (POL-08). */
function isOthers(turn: Turn, sa: IkeSa, reqid: number): boolean {
  for (const serial of turn.core.table.ofReqid(reqid)) {
    const other = serial === sa.serial ? undefined : turn.look(serial);
    if (other && other.identity !== sa.identity && other.phase === "established") return true;
  }
  return false;
}

/** Policies and routes of one CHILD SA; narrower ones than configured go before the trap. */
export function entriesFor(core: Core, sa: IkeSa, child: Child): Entries {
  const state = sa.peer && core.peers.get(sa.peer.id);
  const narrowed = state?.children.get(child.config.id)?.reqid !== child.reqid;
  const priority = child.config.priority - (narrowed ? 1 : 0);
  const selectors = selectorsOf(child) ?? [];
  const { mode, reqid, path } = child;
  // Generated policies, and those of a road warrior, are for this peer's packets alone (POL-18).
  const alone = child.config.template !== undefined || sa.virtual?.remote.length;
  const config: ChildConfig = alone ? { ...child.config, level: "unique" } : child.config;
  const own = config.local.length === 0 ? sa.virtual?.local : undefined;
  const entries = entriesOf(config, mode, reqid, priority, path.local.address, path.remote.address, selectors, own);
  return own ? { ...entries, nats: hiding(sa.peer?.request?.hides ?? [], own, selectors) } : entries;
}

/** What makes the packets of the networks `hides` those of the addresses that the peer gave. */
function hiding(hides: readonly Prefix[], own: readonly IpAddress[], selectors: readonly Selector[]): SourceNatSpec[] {
  const destinations = new Map(selectors.map(({ destination }) => [destination.toString(), destination]));
  return hides.flatMap((source) => {
    const to = own.find((a) => a.family === source.family);
    const reached = [...destinations.values()].filter((d) => d.family === source.family);
    return to ? reached.map((destination) => ({ source, destination, to })) : [];
  });
}

/** Inbound first: nothing may come in before it can be opened. */
export function installOps(turn: Turn, sa: IkeSa, built: Built): DataPlaneOp[] {
  const sas = built.child.sending ? [built.inbound, built.outbound] : [built.inbound];
  return [
    ...sas.map((spec): DataPlaneOp => ({ op: "installSa", args: [spec] })),
    ...hold(turn.core.holdings, entriesFor(turn.core, sa, built.child)),
  ];
}

/** The inbound SA of a pair. */
export function inboundId({ spiIn, path }: { spiIn: number; path: Pick<Path, "local"> }): SaId {
  return { destination: path.local.address, protocol: "esp", spi: spiIn };
}

export function removeIn(pair: { spiIn: number; path: Pick<Path, "local"> }): DataPlaneOp {
  return { op: "removeSa", args: [inboundId(pair)] };
}

export function removeOut({ spiOut, path }: Pick<Child, "spiOut" | "path">): DataPlaneOp {
  return { op: "removeSa", args: [{ destination: path.remote.address, protocol: "esp", spi: spiOut }] };
}

/** Takes back what `installOps` did; of its operations those from number `failedAt` on were not carried out. */
export function undoInstall(turn: Turn, sa: IkeSa, built: Built, failedAt = Number.POSITIVE_INFINITY): void {
  const sas = built.child.sending ? 2 : 1;
  const entries = entriesFor(turn.core, sa, built.child);
  const undone = release(turn.core.holdings, entries);
  turn.apply([
    ...(failedAt > 1 && built.child.sending ? [removeOut(built.child)] : []),
    removeIn(built.child),
    ...(failedAt > sas ? undone.filter((op) => wasDone(op, entries, failedAt - sas)) : []),
  ]);
}

/** Whether the entry that `op` removes was among the first `count` to be added. */
function wasDone(op: DataPlaneOp, entries: Entries, count: number): boolean {
  if (op.op === "removePolicy") {
    const [direction, selector] = op.args;
    return entries.policies.findIndex((p) => p.direction === direction && p.selector === selector) < count;
  }
  const before = entries.policies.length;
  if (op.op === "removeSourceNat") return before + entries.routes.length + entries.nats.indexOf(op.args[0]) < count;
  if (op.op !== "removeRoute") return true;
  const at = entries.routes.findIndex((r) => r.destination.equals(op.args[0].destination));
  return before + at < count;
}

/**
 * Makes a CHILD SA whose SAs are in the data plane part of the IKE SA. `replaces`: the serial that it rekeys. One whose
 * configuration has become another while it was negotiated goes again.
 */
export function adoptChild(turn: Turn, sa: IkeSa, made: Child, replaces: number | undefined): void {
  const runtime = sa.peer && turn.core.peers.get(sa.peer.id)?.children.get(made.config.id);
  const current = runtime && childChange(made.config, runtime.config) !== "replace" ? runtime.config : undefined;
  const child: Child = current ? { ...made, config: current } : { ...made, state: "rekeyed", rekeyAt: undefined };
  sa.children = [...sa.children, child];
  if (current && childChange(made.config, current) !== "keep") {
    const { core } = turn;
    const before = entriesFor(core, sa, made);
    turn.apply([...hold(core.holdings, entriesFor(core, sa, child)), ...release(core.holdings, before)]);
  }
  if (!current) enqueue(turn, sa, { kind: "delete-child", serials: [made.serial], reason: "config-changed" });
  if (runtime) {
    runtime.tries = 0;
    runtime.retryAt = undefined;
    runtime.lastError = undefined;
  }
  const { path } = child;
  const inUse = [
    { destination: path.local.address, spi: child.spiIn },
    { destination: path.remote.address, spi: child.spiOut },
  ];
  for (const spiIn of turn.core.dropOrphans(turn, child.reqid, inUse, path.local.address)) {
    sa.fading = [...sa.fading, { spiIn, path, at: turn.now + FADE_MS }];
  }
  const about = { peer: sa.peer?.id, at: turn.now, ike: ikeStatus(sa), child: childStatus(child) };
  turn.emit(replaces === undefined ? { event: "child-up", ...about } : { event: "child-rekeyed", replaces, ...about });
}

export function changeChild(sa: IkeSa, serial: number, change: Partial<Child>): void {
  sa.children = sa.children.map((c) => (c.serial === serial ? { ...c, ...change } : c));
}

export function childBySerial(sa: IkeSa, serial: number | undefined): Child | undefined {
  return serial === undefined ? undefined : sa.children.find((c) => c.serial === serial);
}

/** How long the inbound half of a replaced SA takes packets that were overtaken on the way. */
const FADE_MS = 2_000;

/** Takes a CHILD SA out of the data plane and of the IKE SA; the inbound half of a replaced one fades, on the IKE SA that replaces `sa` if there is one. */
export function closeChild(turn: Turn, sa: IkeSa, child: Child, reason: DownReason, successor = sa): void {
  sa.children = sa.children.filter((c) => c.serial !== child.serial);
  // Never handed over.
  const held = child.heldOutbound;
  if (held) turn.wipe(held.encryption.key, ...(held.integrity ? [held.integrity.key] : []));
  const fades = reason === "replaced" && successor.phase === "established";
  if (fades) successor.fading = [...successor.fading, { spiIn: child.spiIn, path: child.path, at: turn.now + FADE_MS }];
  turn.apply([
    ...(child.sending ? [removeOut(child)] : []),
    ...(fades ? [] : [removeIn(child)]),
    ...release(turn.core.holdings, entriesFor(turn.core, sa, child)),
  ]);
  turn.emit({
    event: "child-down",
    reason,
    peer: sa.peer?.id,
    at: turn.now,
    ike: ikeStatus(sa),
    child: childStatus(child),
  });
}
