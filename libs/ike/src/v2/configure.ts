import type { PolicySpec, SaState } from "@sallyport/dataplane";
import type { ChildConfig, IkeConfig, PeerConfig } from "../config.js";
import type { Chore } from "./backlog.js";
import { childChange, peerChange } from "./changes.js";
import type { ChildRuntime, PeerState } from "./core.js";
import { sameValue } from "./equal.js";
import { restsOnUsers } from "./evidence.js";
import type { Entries } from "./holdings.js";
import { ensure } from "./lifecycle.js";
import { PeerIndex } from "./peer-index.js";
import { dropOrphanAddresses } from "./request-config.js";
import { ownAddresses, sameAddressing } from "./serve-config.js";
import { configureShunts } from "./shunts.js";
import { release, setTrap } from "./traps.js";
import type { Turn } from "./turn.js";

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
  refreshUsers(turn, before);
  // Last, so that a policy that is wanted again is never away and no packet leaves in clear.
  for (const entries of gone) turn.apply(release(core.holdings, entries));
  dropStrangers(turn);
  if (!config.peers.some((p) => p.request)) dropOrphanAddresses(turn);
  for (const peer of config.peers) ensure(turn, peer.id);
}

/** Users are no peer's own: who is gone, or has another password, has to authenticate anew wherever he is. */
function refreshUsers(turn: Turn, before: IkeConfig): void {
  const { core } = turn;
  if (sameValue(before.eapUsers, core.config.eapUsers)) return;
  const chore: Chore = { do: "refresh", stale: [], rekey: false, moves: false };
  for (const sa of core.table.all()) if (restsOnUsers(sa)) turn.defer(sa.serial, chore);
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
  const wanted = config.startAction === "start" && !config.template;
  const name = `${state.config.id}/${config.id}`;
  const reqid = turn.core.reqidFor(name, config.reqid);
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
  for (const serial of core.table.ofPeer(state.config.id)) turn.defer(serial, { do: "end", reason: "config-changed" });
  for (const child of [...state.children.values()]) removeChild(turn, state, child, gone);
  core.peers.delete(state.config.id);
  core.byTimer.delete(state.timer);
  if (state.retryAt !== undefined) turn.disarm(state.timer);
}

function changePeer(turn: Turn, state: PeerState, config: PeerConfig, gone: Entries[]): void {
  const before = state.config;
  const change = peerChange(before, config);
  if (change === "replace") {
    removePeer(turn, state, gone);
    addPeer(turn, config);
    return;
  }
  state.config = config;
  const moves = !sameValue(before.local, config.local);
  if (moves) relocateTraps(turn, state, gone);
  const stale: string[] = [];
  for (const child of [...state.children.values()]) {
    const next = config.children.find((c) => c.id === child.config.id);
    if (!next || childChange(child.config, next) === "replace") {
      stale.push(child.config.id);
      removeChild(turn, state, child, gone);
    } else updateChild(turn, state, child, next, gone);
  }
  for (const child of config.children) if (!state.children.has(child.id)) addChild(turn, state, child);
  const chore: Chore = { do: "refresh", stale, rekey: change === "rekey", moves };
  for (const serial of turn.core.table.ofPeer(config.id)) turn.defer(serial, chore);
}

/** This end has another address: policies of IKE SAs that move go with them, others have to be made anew. */
function relocateTraps(turn: Turn, state: PeerState, gone: Entries[]): void {
  const { table } = turn.core;
  for (const serial of table.ofPeer(state.config.id)) if (table.get(serial)?.mobike) return;
  for (const child of state.children.values()) {
    if (!child.trap) continue;
    gone.push(child.trap);
    child.trap = undefined;
    setTrap(turn, state, child);
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
  const traps = [before, next].map((c) => [c.startAction, c.dpdAction, c.level, c.priority, c.routes, c.routeSources]);
  if (!sameValue(traps[0], traps[1])) {
    if (child.trap) gone.push(child.trap);
    child.trap = undefined;
    setTrap(turn, state, child);
  }
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
