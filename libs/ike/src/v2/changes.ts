import type { ChildConfig, LocalAuth, PeerConfig, RemoteAuth } from "../config.js";
import { sameValue } from "./equal.js";

/**
 * What a field of a peer does to its IKE SAs when it changes under them, gravest last (CERT-10). `keep`: nothing; it is read when
 * it is needed, at the latest by the next exchange of its kind. `rekey`: new keys for the IKE SA, no packet lost. `replace`: the IKE SAs
 * are those of another peer now; they go, and new ones are made. `children` have a table of their own.
 */
export type PeerChange = "keep" | "rekey" | "replace";

/**
 * The same for a child and its CHILD SAs. `policies`: policies and routes are exchanged in place. `rekey`: new keys, no packet
 * lost. `replace`: deleted and made anew.
 */
export type ChildChange = "keep" | "policies" | "rekey" | "replace";

type Table<T, C> = { readonly [F in Exclude<keyof T, "id">]-?: C | ((before: T, after: T) => C) };

/** Every field has to be here. */
export const PEER_CHANGES: Table<Omit<PeerConfig, "children">, PeerChange> = {
  name: "keep",
  // From another address IKE SAs with MOBIKE go on, and the others are made anew (`relocate`).
  local: (a, b) => (sameValue(placeless(a), placeless(b)) ? "keep" : "replace"),
  // Whence the peer may call is asked when it calls.
  remote: (a, b) => (sameValue(a.remote.endpoint, b.remote.endpoint) ? "keep" : "replace"),
  passive: "keep",
  proposals: "rekey",
  // What this end calls itself holds for the whole life of an IKE SA; by which key it proved that does not matter afterwards.
  localAuth: (a, b) => (sameValue(a.localAuth.map(claimOf), b.localAuth.map(claimOf)) ? "keep" : "replace"),
  // Each IKE SA is held against it besides: one that rests on what is not accepted any more goes.
  remoteAuth: (a, b) => (sameValue(a.remoteAuth.map(claimOf), b.remoteAuth.map(claimOf)) ? "keep" : "replace"),
  // Mixed in while the keys are made; a rekey draws on what was mixed then.
  ppk: "keep",
  lifetime: "keep",
  keyingTries: "keep",
  dpdInterval: "keep",
  retransmission: "keep",
  fragmentation: "keep",
  fragmentSize: "keep",
  forceEncapsulation: "replace",
  mobike: "keep",
  natKeepalive: "keep",
  initialContact: "keep",
  uniqueness: "keep",
  sasPerIdentity: "keep",
  modeConfig: "keep",
  request: "replace",
  reauthentication: "keep",
  authLifetime: "keep",
  window: "keep",
};

export const CHILD_CHANGES: Table<ChildConfig, ChildChange> = {
  name: "keep",
  mode: "replace",
  local: "replace",
  remote: "replace",
  template: "replace",
  proposals: "rekey",
  replayWindow: "rekey",
  dontFragment: "rekey",
  pathMtu: "rekey",
  clampMss: "rekey",
  tfc: "rekey",
  lifetime: "keep",
  // What is to be up, and what traps packets, is no matter of the SAs that are there.
  startAction: "keep",
  dpdAction: "keep",
  level: "policies",
  priority: "policies",
  reqid: "replace",
  routes: "policies",
  routeSources: "policies",
};

function placeless({ local }: Pick<PeerConfig, "local">) {
  return { port: local.port, known: local.address !== undefined };
}

function claimOf({ method, identity }: LocalAuth | RemoteAuth) {
  return { method, identity };
}

function gravest<T extends object, C>(table: Table<T, C>, order: readonly C[], before: T, after: T): C {
  let worst = 0;
  if (before === after) return order[worst] as C;
  for (const [field, change] of Object.entries(table) as [keyof T, C | ((a: T, b: T) => C)][]) {
    if (sameValue(before[field], after[field])) continue;
    const here = typeof change === "function" ? (change as (a: T, b: T) => C)(before, after) : change;
    worst = Math.max(worst, order.indexOf(here));
  }
  return order[worst] as C;
}

export function peerChange(before: PeerConfig, after: PeerConfig): PeerChange {
  return gravest(PEER_CHANGES, ["keep", "rekey", "replace"], before, after);
}

export function childChange(before: ChildConfig, after: ChildConfig): ChildChange {
  return gravest(CHILD_CHANGES, ["keep", "policies", "rekey", "replace"], before, after);
}
