import type { IpAddress } from "@sallyport/base";
import type { PolicySpec, RouteSpec, SaMode, Selector } from "@sallyport/dataplane";
import type { DataPlaneOp } from "../api.js";
import type { ChildConfig, PeerConfig } from "../config.js";
import type { ChildRuntime, PeerState } from "./core.js";
import type { Entries, Holdings } from "./holdings.js";
import { configured, endsOf } from "./narrow.js";
import { reversed, toSelectors } from "./selectors.js";
import type { Turn } from "./turn.js";

/** What carries packets of `selectors` into SAs of `reqid` between two outer addresses. */
export function entriesOf(
  child: ChildConfig,
  mode: SaMode,
  reqid: number,
  priority: number,
  local: IpAddress,
  remote: IpAddress,
  selectors: readonly Selector[],
  virtual: readonly IpAddress[] = [],
): Entries {
  const template = { protocol: "esp", mode, reqid, level: child.level } as const;
  const out = { ...template, source: local, destination: remote };
  const back = { ...template, source: remote, destination: local };
  const policies: PolicySpec[] = [];
  for (const selector of selectors) {
    const reverse = reversed(selector);
    policies.push({ direction: "out", selector, action: "encrypt", priority, template: out });
    policies.push({ direction: "in", selector: reverse, action: "encrypt", priority, template: back });
    if (mode === "tunnel")
      policies.push({ direction: "fwd", selector: reverse, action: "encrypt", priority, template: back });
  }
  const routes = new Map<string, RouteSpec>();
  if (child.routes && mode === "tunnel") {
    for (const { destination } of selectors) {
      const source = [...virtual, ...child.routeSources].find((a) => a.family === destination.family);
      routes.set(destination.toString(), { destination, via: remote, ...(source ? { source } : {}) });
    }
  }
  return { policies, routes: [...routes.values()], nats: [] };
}

export function hold(holdings: Holdings, entries: Entries): DataPlaneOp[] {
  return [
    ...entries.policies.flatMap((p) => holdings.holdPolicy(p)),
    ...entries.routes.flatMap((r) => holdings.holdRoute(r)),
    ...entries.nats.flatMap((n) => holdings.holdNat(n)),
  ];
}

export function release(holdings: Holdings, entries: Entries): DataPlaneOp[] {
  return [
    ...entries.nats.flatMap((n) => holdings.releaseNat(n)),
    ...entries.routes.flatMap((r) => holdings.releaseRoute(r)),
    ...entries.policies.flatMap((p) => holdings.releasePolicy(p)),
  ];
}

/**
 * Whether packets of this child are to wait for an SA – and never leave in clear – while there is none. Packets from an
 * address that is still to be given there are not, and a template stands for no packets of its own.
 */
function traps({ request }: PeerConfig, child: ChildConfig): boolean {
  if (child.template || (request && child.local.length === 0)) return false;
  return child.startAction !== "none" || child.dpdAction === "trap";
}

/** Puts a child's policies in place before there is an SA: packets raise an acquire and none leaves in clear. */
export function setTrap(turn: Turn, state: PeerState, child: ChildRuntime): void {
  const { local, remote } = state.config;
  if (child.trap || !traps(state.config, child.config) || !local.address || !remote.endpoint) return;
  const ends = endsOf({ local: { address: local.address, port: local.port }, remote: remote.endpoint });
  const ranges = configured(child.config, ends);
  const selectors = toSelectors(ranges.local, ranges.remote);
  if (!selectors) return;
  const { mode, priority } = child.config;
  child.trap = entriesOf(child.config, mode, child.reqid, priority, local.address, remote.endpoint.address, selectors);
  turn.apply(hold(turn.core.holdings, child.trap));
}

export function clearTrap(turn: Turn, child: ChildRuntime): void {
  if (!child.trap) return;
  turn.apply(release(turn.core.holdings, child.trap));
  child.trap = undefined;
}
