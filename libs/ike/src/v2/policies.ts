import type { PolicySpec } from "@sallyport/dataplane";
import type { PolicyStatus } from "../status.js";
import { entriesFor } from "./child.js";
import type { Child } from "./child-sa.js";
import type { ChildRuntime, Core, PeerState } from "./core.js";
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

interface Pair {
  readonly sa: IkeSa;
  readonly child: Child;
}

function pairsOf(core: Core, state: PeerState): Pair[] {
  const out: Pair[] = [];
  for (const serial of core.table.ofPeer(state.config.id)) {
    const sa = core.table.get(serial);
    for (const child of sa?.children ?? []) if (sa) out.push({ sa, child });
  }
  return out;
}

function ofChild(core: Core, state: PeerState, runtime: ChildRuntime, pairs: readonly Pair[]): PolicyStatus[] {
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
  const narrower = new Map<number, Pair[]>();
  for (const pair of pairs) {
    if (pair.child.config.id !== config.id || pair.child.reqid === runtime.reqid) continue;
    narrower.set(pair.child.reqid, [...(narrower.get(pair.child.reqid) ?? []), pair]);
  }
  const dynamic = [...narrower.values()].map((list): PolicyStatus => {
    const { sa, child } = list.at(-1) as Pair;
    const entries = entriesFor(core, sa, child).policies;
    return {
      ...common,
      priority: entries[0]?.priority ?? config.priority,
      local: child.local,
      remote: child.remote,
      dynamic: true,
      ...standing(core, entries),
      sas: list.length,
      state: stateOf(list.map((p) => p.child)),
    };
  });
  return [...dynamic, own];
}

/** Every policy that is configured or was made by a negotiation, in order of precedence (POL-14, POL-15). */
export function policyStatus(core: Core): PolicyStatus[] {
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
  const children = [...core.peers.values()].flatMap((state) => {
    const pairs = pairsOf(core, state);
    return [...state.children.values()].flatMap((runtime) => ofChild(core, state, runtime, pairs));
  });
  return [...shunts, ...children].sort((a, b) => a.priority - b.priority);
}
