import type { PolicySpec, SaState } from "@sallyport/dataplane";
import type { ChildConfig, IkeConfig, LocalAuth, PeerConfig, RemoteAuth } from "../config.js";
import type { ChildRuntime, PeerState } from "./core.js";
import { differs, isOtherChild, sameValue } from "./equal.js";
import type { Entries } from "./holdings.js";
import { ensure } from "./lifecycle.js";
import { PeerIndex } from "./peer-index.js";
import { enqueue } from "./queue.js";
import type { IkeSa } from "./sa.js";
import { ownAddresses, sameAddressing } from "./serve-config.js";
import { configureShunts } from "./shunts.js";
import { release, reqidFor, setTrap } from "./traps.js";
import type { Turn } from "./turn.js";
import { retire } from "./unique.js";

/** Makes the engine what `config` says and touches only what differs from before. */
export function configure(turn: Turn, config: IkeConfig): void {
  const { core } = turn;
  const before = core.config;
  core.config = config;
  core.index = new PeerIndex(config.peers);
  if (!sameAddressing(before, config)) core.leases.configure(config.pools ?? [], ownAddresses(config));
  const ids = new Set(config.peers.map((p) => p.id));
  const gone: Entries[] = [];
  configureShunts(turn, config, gone);
  for (const state of [...core.peers.values()]) if (!ids.has(state.config.id)) removePeer(turn, state, gone);
  for (const peer of config.peers) {
    const state = core.peers.get(peer.id);
    if (!state) addPeer(turn, peer);
    else if (!sameValue(state.config, peer)) changePeer(turn, state, peer, gone);
  }
  // Last, so that a policy that is wanted again is never away and no packet leaves in clear.
  for (const entries of gone) turn.apply(release(core.holdings, entries));
  dropStrangers(turn);
  for (const peer of config.peers) ensure(turn, peer.id);
}

function addPeer(turn: Turn, config: PeerConfig): void {
  const { core } = turn;
  const timer = core.newSerial();
  const state: PeerState = {
    config,
    timer,
    retryAt: undefined,
    tries: 0,
    lastError: undefined,
    addresses: [],
    addressRefusals: 0,
    children: new Map(),
  };
  core.peers.set(config.id, state);
  core.byTimer.set(timer, state);
  for (const child of config.children) addChild(turn, state, child);
}

function addChild(turn: Turn, state: PeerState, config: ChildConfig): void {
  const wanted = config.startAction === "start";
  const name = `${state.config.id}/${config.id}`;
  const reqid = reqidFor(turn.core, name, config.reqid);
  const child: ChildRuntime = {
    config,
    reqid,
    wanted,
    sticky: wanted,
    packet: undefined,
    tries: 0,
    retryAt: undefined,
    lastError: undefined,
    trap: undefined,
  };
  state.children.set(config.id, child);
  turn.core.byReqid.set(reqid, { peer: state.config.id, child: config.id });
  setTrap(turn, state, child);
}

function removeChild(turn: Turn, state: PeerState, child: ChildRuntime, gone: Entries[]): void {
  if (child.trap) gone.push(child.trap);
  state.children.delete(child.config.id);
  turn.core.byReqid.delete(child.reqid);
  turn.core.reqids.delete(child.reqid);
}

function removePeer(turn: Turn, state: PeerState, gone: Entries[]): void {
  const { core } = turn;
  for (const { serial } of turn.ofPeer(state.config.id)) {
    const sa = turn.edit(serial);
    if (sa) retire(turn, sa, "config-changed");
  }
  for (const child of [...state.children.values()]) removeChild(turn, state, child, gone);
  core.peers.delete(state.config.id);
  core.byTimer.delete(state.timer);
  if (state.retryAt !== undefined) turn.disarm(state.timer);
}

/** Whether the IKE SAs that stand are those of another peer now. Other changes count from the next exchange on. */
function isAnother(a: PeerConfig, b: PeerConfig): boolean {
  return (
    differs(a, b, "local", "forceEncapsulation") ||
    differs(a.remote, b.remote, "endpoint") ||
    !sameValue(a.localAuth.map(claimOf), b.localAuth.map(claimOf)) ||
    !sameValue(a.remoteAuth.map(claimOf), b.remoteAuth.map(claimOf))
  );
}

function claimOf({ method, identity }: LocalAuth | RemoteAuth) {
  return { method, identity };
}

function changePeer(turn: Turn, state: PeerState, config: PeerConfig, gone: Entries[]): void {
  const before = state.config;
  if (isAnother(before, config)) {
    removePeer(turn, state, gone);
    addPeer(turn, config);
    return;
  }
  state.config = config;
  const stale = new Set<string>();
  for (const child of [...state.children.values()]) {
    const next = config.children.find((c) => c.id === child.config.id);
    if (!next || isOtherChild(child.config, next)) {
      stale.add(child.config.id);
      removeChild(turn, state, child, gone);
    } else updateChild(turn, state, child, next, gone);
  }
  for (const child of config.children) if (!state.children.has(child.id)) addChild(turn, state, child);
  const rekey = differs(before, config, "proposals");
  for (const { serial } of turn.ofPeer(config.id)) {
    const sa = turn.edit(serial);
    if (sa) refresh(turn, sa, config, stale, rekey);
  }
}

function updateChild(turn: Turn, state: PeerState, child: ChildRuntime, next: ChildConfig, gone: Entries[]): void {
  const before = child.config;
  child.config = next;
  // A new configuration is a new reason to try, also for what was given up.
  child.wanted ||= child.sticky;
  if (before.startAction !== next.startAction) {
    child.sticky = next.startAction === "start";
    child.wanted ||= child.sticky;
  }
  if (differs(before, next, "startAction", "dpdAction")) {
    if (child.trap) gone.push(child.trap);
    child.trap = undefined;
    setTrap(turn, state, child);
  }
}

/** A standing IKE SA takes over the new configuration. */
function refresh(turn: Turn, sa: IkeSa, config: PeerConfig, stale: ReadonlySet<string>, rekey: boolean): void {
  sa.peer = config;
  const gone: number[] = [];
  sa.children = sa.children.map((child) => {
    if (stale.has(child.config.id)) {
      gone.push(child.serial);
      return { ...child, state: "rekeyed", rekeyAt: undefined };
    }
    const next = config.children.find((c) => c.id === child.config.id) ?? child.config;
    if (child.state === "installed" && differs(child.config, next, "proposals", "esn", "replayWindow")) {
      enqueue(turn, sa, { kind: "rekey-child", serial: child.serial });
    }
    return { ...child, config: next };
  });
  if (rekey && sa.phase === "established") enqueue(turn, sa, { kind: "rekey-ike" });
  ensure(turn, config.id);
  if (gone.length > 0) enqueue(turn, sa, { kind: "delete-child", serials: gone, reason: "config-changed" });
}

/** What the data plane kept from an earlier run. */
export function adopt(turn: Turn, sas: readonly SaState[], policies: readonly PolicySpec[]): void {
  const { core } = turn;
  for (const sa of sas) {
    const list = core.orphans.get(sa.reqid);
    if (list) list.sas.push(sa);
    else core.orphans.set(sa.reqid, { sas: [sa], policies: [] });
  }
  for (const policy of policies) {
    const reqid = policy.template?.reqid ?? 0;
    const list = core.orphans.get(reqid);
    if (list) list.policies.push(policy);
    else core.orphans.set(reqid, { sas: [], policies: [policy] });
  }
}

/** Entries of an earlier run that belong to no configured child. */
function dropStrangers(turn: Turn): void {
  const { core } = turn;
  for (const reqid of [...core.orphans.keys()]) if (!core.byReqid.has(reqid)) core.dropOrphans(turn, reqid, []);
}
