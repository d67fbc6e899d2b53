import type { DataPlaneEvent, Selector } from "@sallyport/dataplane";
import type { Command } from "../api.js";
import type { Chore } from "./backlog.js";
import type { ChildRuntime, PeerState } from "./core.js";
import { distrust } from "./distrust.js";
import { ensure } from "./lifecycle.js";
import { movePeer } from "./moves.js";
import { enqueue } from "./queue.js";
import type { IkeSa } from "./sa.js";
import { packetRanges } from "./selectors.js";
import { clearTrap, release } from "./traps.js";
import type { Turn } from "./turn.js";

export function command(turn: Turn, c: Command): void {
  if (c.command === "shutdown") {
    shutdown(turn);
    return;
  }
  if (c.command === "distrust") {
    distrust(turn, c.fingerprint, c.failure);
    return;
  }
  const state = turn.core.peers.get(c.peer);
  if (!state) {
    turn.count("unknown-peer");
    return;
  }
  switch (c.command) {
    case "initiate":
      initiate(turn, state, c.child);
      return;
    case "terminate":
      terminate(turn, state, c.child);
      return;
    case "rekey-child":
      deferUp(turn, state, { do: "rekey-child", child: c.child });
      return;
    case "rekey-ike":
    case "reauthenticate":
    case "probe":
      deferUp(turn, state, { do: c.command });
      return;
    case "trace":
      if (c.on) turn.core.traced.add(c.peer);
      else turn.core.traced.delete(c.peer);
      return;
  }
}

/** There may be tens of thousands of them. */
function deferUp(turn: Turn, state: PeerState, chore: Chore): void {
  const { core } = turn;
  for (const serial of core.table.ofPeer(state.config.id))
    if (core.seen(serial)?.phase === "established") turn.defer(serial, chore);
}

function chosen(state: PeerState, child: string | undefined): ChildRuntime[] {
  if (child === undefined) return [...state.children.values()].filter((c) => c.config.startAction !== "none");
  const one = state.children.get(child);
  return one ? [one] : [];
}

function initiate(turn: Turn, state: PeerState, child: string | undefined): void {
  const all = chosen(state, child);
  for (const c of all.length > 0 ? all : state.children.values()) {
    if (c.config.template) continue;
    c.wanted = true;
    c.sticky = true;
    c.retryAt = undefined;
  }
  state.retryAt = undefined;
  ensure(turn, state.config.id);
}

function terminate(turn: Turn, state: PeerState, child: string | undefined): void {
  const ending = child === undefined ? [...state.children.values()] : chosen(state, child);
  for (const c of ending) {
    c.wanted = false;
    c.sticky = false;
    c.packet = undefined;
  }
  if (child === undefined) {
    for (const serial of turn.core.table.ofPeer(state.config.id)) turn.defer(serial, LOCALLY);
    return;
  }
  deferUp(turn, state, { do: "delete-child", child });
}

const LOCALLY: Chore = { do: "end", reason: "deleted-locally" };

function shutdown(turn: Turn): void {
  turn.core.stopped = true;
  for (const { serial } of turn.core.table.all()) turn.defer(serial, LOCALLY);
  for (const state of turn.core.peers.values()) for (const child of state.children.values()) clearTrap(turn, child);
  for (const shunt of turn.core.shunts.values()) turn.apply(release(turn.core.holdings, shunt.entries));
  turn.core.shunts.clear();
}

export function dataPlaneEvent(turn: Turn, event: DataPlaneEvent): void {
  switch (event.on) {
    case "acquire":
      acquire(turn, event.reqid, event.selector);
      return;
    case "expire":
      expire(turn, event.reqid, event.sa.spi, event.hard);
      return;
    case "mapping-changed":
      eachOfReqid(turn, event.reqid, event.sa.spi, (sa) => {
        if (!sa.nat.local && sa.phase === "established") movePeer(turn, sa, event.to);
      });
      return;
  }
}

/** A packet waits for an SA. */
function acquire(turn: Turn, reqid: number, selector: Selector): void {
  const name = turn.core.byReqid.get(reqid);
  const state = name && turn.core.peers.get(name.peer);
  const child = name && state?.children.get(name.child);
  if (!state || !child) {
    turn.count("acquire-of-unknown");
    return;
  }
  child.wanted = true;
  child.packet = packetRanges(selector);
  child.retryAt = undefined;
  if (state.retryAt !== undefined) state.retryAt = Math.min(state.retryAt, turn.now + HURRY_MS);
  ensure(turn, state.config.id);
}

/** A packet shortens the wait for the next attempt to this. */
const HURRY_MS = 500;

function eachOfReqid(turn: Turn, reqid: number, spi: number, act: (sa: IkeSa, serial: number) => void): void {
  const of = (sa: IkeSa | undefined) => sa?.children.find((c) => c.spiIn === spi || c.spiOut === spi);
  for (const serial of turn.core.table.ofReqid(reqid)) {
    const sa = of(turn.look(serial)) && turn.edit(serial);
    const child = of(sa);
    if (sa && child) act(sa, child.serial);
  }
}

function expire(turn: Turn, reqid: number, spi: number, hard: boolean): void {
  orphanExpired(turn, reqid, spi, hard);
  eachOfReqid(turn, reqid, spi, (sa, serial) => {
    if (!hard) return enqueue(turn, sa, { kind: "rekey-child", serial });
    enqueue(turn, sa, { kind: "delete-child", serials: [serial], reason: "expired" });
  });
}

function orphanExpired(turn: Turn, reqid: number, spi: number, hard: boolean): void {
  const orphans = turn.core.orphans.get(reqid);
  if (!orphans || !hard) return;
  orphans.sas = orphans.sas.filter((o) => o.spi !== spi);
  if (orphans.sas.length === 0) turn.core.dropOrphans(turn, reqid, []);
}
