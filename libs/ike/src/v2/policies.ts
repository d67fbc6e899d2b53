import type { PolicySpec } from "@sallyport/dataplane";
import type { PolicyStatus } from "../status.js";
import { entriesFor } from "./child.js";
import type { Child } from "./child-sa.js";
import type { ChildRuntime, Core, PeerState } from "./core.js";
import type { Steps } from "./report.js";
import type { IkeSa } from "./sa.js";

type State = PolicyStatus["state"];

function stateOf(children: readonly Child[]): State {
  const newest = children.at(-1);
  if (!newest) return "no-phase2";
  return newest.state === "installed" || newest.state === "rekeying" ? "established" : "expired";
}

/** `active`: all of them are in force. `invalid`: they are held, and others are in force instead. */
function standing(core: Core, policies: readonly PolicySpec[]): Pick<PolicyStatus, "active" | "invalid"> {
  const active = policies.length > 0 && policies.every((p) => core.holdings.inForce(p));
  return { active, invalid: policies.length > 0 && !active };
}

/** Policies that are looked at between two interruptions: each costs its entries in the data plane to be made out. */
const POLICIES_AT_ONCE = 16;
/** SAs and SA pairs that are merely gone through. */
const SAS_AT_ONCE = 512;

interface Pair {
  readonly sa: IkeSa;
  readonly child: Child;
}

function* pairsOf(core: Core, state: PeerState): Steps<Pair[]> {
  const out: Pair[] = [];
  let seen = 0;
  for (const serial of core.table.ofPeer(state.config.id)) {
    const sa = core.table.get(serial);
    for (const child of sa?.children ?? []) if (sa) out.push({ sa, child });
    if (++seen % SAS_AT_ONCE === 0) yield;
  }
  return out;
}

function* ofChild(core: Core, state: PeerState, runtime: ChildRuntime, pairs: readonly Pair[]): Steps<PolicyStatus[]> {
  const { config } = runtime;
  const whole = pairs.filter((p) => p.child.reqid === runtime.reqid);
  const held = whole.at(-1);
  const policies = held ? entriesFor(core, held.sa, held.child).policies : (runtime.trap?.policies ?? []);
  const common = {
    id: config.id,
    name: config.name,
    peer: state.config.id,
    action: "encrypt",
    level: config.level,
  } as const;
  const own: PolicyStatus = {
    ...common,
    priority: config.priority,
    local: config.local,
    remote: config.remote,
    dynamic: false,
    ...standing(core, policies),
    sas: whole.length,
    state: stateOf(whole.map((p) => p.child)),
  };
  yield;
  const narrower = new Map<number, Pair[]>();
  for (const [i, pair] of pairs.entries()) {
    if (i % SAS_AT_ONCE === 0) yield;
    if (pair.child.config.id !== config.id || pair.child.reqid === runtime.reqid) continue;
    const list = narrower.get(pair.child.reqid);
    if (list) list.push(pair);
    else narrower.set(pair.child.reqid, [pair]);
  }
  const out: PolicyStatus[] = [];
  for (const list of narrower.values()) {
    const { sa, child } = list.at(-1) as Pair;
    const entries = entriesFor(core, sa, child).policies;
    out.push({
      ...common,
      priority: entries[0]?.priority ?? config.priority,
      local: child.local,
      remote: child.remote,
      dynamic: true,
      ...standing(core, entries),
      sas: list.length,
      state: stateOf(list.map((p) => p.child)),
    });
    if (out.length % POLICIES_AT_ONCE === 0) yield;
  }
  out.push(own);
  return out;
}

/** Every policy that is configured or was made by a negotiation, in order of precedence (POL-14, POL-15). */
export function* policyStatus(core: Core): Steps<PolicyStatus[]> {
  const shunts = [...core.shunts.values()].map(
    ({ config, entries }): PolicyStatus => ({
      id: config.id,
      name: config.name,
      peer: undefined,
      action: config.action,
      level: undefined,
      priority: config.priority,
      local: config.local,
      remote: config.remote,
      dynamic: false,
      ...standing(core, entries.policies),
      sas: 0,
      state: "no-phase2",
    }),
  );
  const out: PolicyStatus[] = shunts;
  for (const state of core.peers.values()) {
    const pairs = yield* pairsOf(core, state);
    for (const runtime of state.children.values()) {
      for (const policy of yield* ofChild(core, state, runtime, pairs)) out.push(policy);
      yield;
    }
  }
  return out.sort((a, b) => a.priority - b.priority);
}
