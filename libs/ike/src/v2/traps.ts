import { type IpAddress, type Prefix, rangeToPrefixes } from "@sallyport/base";
import type { PolicySpec, RouteSpec, SaMode, Selector, SourceNatSpec } from "@sallyport/dataplane";
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
 * Whether packets of this child are to wait for an SA – and never leave in clear – while there is none. A template stands for no
 * packets of its own.
 */
function traps(child: ChildConfig): boolean {
  return !child.template && (child.startAction !== "none" || child.dpdAction === "trap");
}

/** Whether the child is for the addresses that the peer will give. */
function isForGiven({ request }: PeerConfig, child: ChildConfig): boolean {
  return request !== undefined && child.local.length === 0;
}

/** What keeps the packets of hidden networks from leaving with an address of their own. */
function holdBack(hides: readonly Prefix[], { remote }: ChildConfig): Entries {
  const destinations = remote.flatMap(({ first, last }) => rangeToPrefixes(first, last));
  const nats = hides.flatMap((source): SourceNatSpec[] =>
    destinations.filter((d) => d.family === source.family).map((destination) => ({ source, destination })),
  );
  return { policies: [], routes: [], nats };
}

/** Puts a child's policies in place before there is an SA: packets raise an acquire and none leaves in clear. */
export function setTrap(turn: Turn, state: PeerState, child: ChildRuntime): void {
  const { local, remote, request } = state.config;
  if (child.trap || !traps(child.config)) return;
  if (isForGiven(state.config, child.config)) {
    child.trap = holdBack(request?.hides ?? [], child.config);
    turn.apply(hold(turn.core.holdings, child.trap));
    return;
  }
  if (!local.address || !remote.endpoint) return;
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
