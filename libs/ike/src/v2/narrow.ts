import { type Endpoint, IpAddress, rangeToPrefixes } from "@sallyport/base";
import type { ChildConfig, TrafficRange } from "../config.js";
import type { VirtualAddresses } from "../status.js";
import type { AddressSelector, TrafficSelector } from "../wire/types.js";

const ANY_PORT = 65_535;
/** Pieces of an answer; one octet counts the selectors of a payload (RFC 7296 §3.13). */
const MAX_PIECES = 255;

export function toSelector(r: TrafficRange): AddressSelector {
  return {
    kind: "range",
    protocol: r.protocol,
    startPort: r.firstPort,
    endPort: r.lastPort,
    start: r.first,
    end: r.last,
  };
}

/**
 * Ranges of a TS payload. Selectors of unknown types and reversed ones stand for nothing (hostile input 9); so do OPAQUE ports
 * (65535 to 0, RFC 7296 §3.13.1), since no data plane can tell such packets apart: they are narrowed away.
 */
export function toRanges(selectors: readonly TrafficSelector[]): TrafficRange[] {
  const out: TrafficRange[] = [];
  for (const s of selectors) {
    if (s.kind !== "range" || s.start.family !== s.end.family) continue;
    if (compare(s.start, s.end) > 0 || s.startPort > s.endPort) continue;
    out.push({ first: s.start, last: s.end, protocol: s.protocol, firstPort: s.startPort, lastPort: s.endPort });
  }
  return out;
}

function compare(a: IpAddress, b: IpAddress): number {
  const x = a.toBigInt();
  const y = b.toBigInt();
  return x < y ? -1 : x > y ? 1 : 0;
}

function sameRange(a: TrafficRange, b: TrafficRange): boolean {
  return (
    a.protocol === b.protocol &&
    a.firstPort === b.firstPort &&
    a.lastPort === b.lastPort &&
    a.first.equals(b.first) &&
    a.last.equals(b.last)
  );
}

export function inRange(range: TrafficRange, address: IpAddress): boolean {
  return (
    range.first.family === address.family && compare(range.first, address) <= 0 && compare(address, range.last) <= 0
  );
}

export function sameRanges(a: readonly TrafficRange[], b: readonly TrafficRange[]): boolean {
  return a.length === b.length && a.every((x) => b.some((y) => sameRange(x, y)));
}

function intersect(a: TrafficRange, b: TrafficRange): TrafficRange | undefined {
  if (a.first.family !== b.first.family) return undefined;
  if (a.protocol !== 0 && b.protocol !== 0 && a.protocol !== b.protocol) return undefined;
  const first = compare(a.first, b.first) >= 0 ? a.first : b.first;
  const last = compare(a.last, b.last) <= 0 ? a.last : b.last;
  const firstPort = Math.max(a.firstPort, b.firstPort);
  const lastPort = Math.min(a.lastPort, b.lastPort);
  if (compare(first, last) > 0 || firstPort > lastPort) return undefined;
  return { first, last, protocol: a.protocol || b.protocol, firstPort, lastPort };
}

function contains(outer: TrafficRange, inner: TrafficRange): boolean {
  const common = intersect(outer, inner);
  return common !== undefined && sameRange(common, inner);
}

/**
 * What both allow, without pieces that lie inside others; what meets the peer's first selector – the packet – comes
 * first (RFC 7296 §2.9). Gives `ours` itself when nothing of it is cut away, so that many SAs share one list.
 */
export function narrow(theirs: readonly TrafficRange[], ours: readonly TrafficRange[]): readonly TrafficRange[] {
  const [theirOnly, ourOnly] = [theirs[0], ours[0]];
  if (theirs.length === 1 && ours.length === 1 && theirOnly && ourOnly && sameRange(theirOnly, ourOnly)) return ours;
  const pieces: TrafficRange[] = [];
  for (const t of theirs) {
    for (const o of ours) {
      const piece = intersect(t, o);
      if (piece && !pieces.some((p) => contains(p, piece))) pieces.push(piece);
    }
  }
  const out = pieces.filter((p, i) => !pieces.some((q, j) => j !== i && contains(q, p))).slice(0, MAX_PIECES);
  return out.length === ours.length && out.every((p, i) => sameRange(p, ours[i] as TrafficRange)) ? ours : out;
}

/** Whether an answer stays within what was offered. */
export function within(answer: readonly TrafficRange[], offer: readonly TrafficRange[]): boolean {
  return answer.length > 0 && answer.every((a) => offer.some((o) => contains(o, a)));
}

/** Who stands for a list of selectors that is empty. */
export interface Ends {
  readonly local: readonly TrafficRange[];
  readonly remote: readonly TrafficRange[];
}

/** Virtual addresses where there are any, else the outer ones. */
export function endsOf(sa: {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly virtual?: VirtualAddresses | undefined;
}): Ends {
  const { virtual } = sa;
  return {
    local: hosts(virtual?.local.length ? virtual.local : [sa.local.address]),
    remote: hosts(virtual?.remote.length ? virtual.remote : [sa.remote.address]),
  };
}

export function hosts(addresses: readonly IpAddress[]): TrafficRange[] {
  return addresses.map((address) => ({ first: address, last: address, protocol: 0, firstPort: 0, lastPort: ANY_PORT }));
}

/** The configured selectors. */
export function configured(child: ChildConfig, ends: Ends): Ends {
  return {
    local: child.local.length > 0 ? child.local : ends.local,
    remote: child.remote.length > 0 ? child.remote : ends.remote,
  };
}

/** How well a child suits a request: 3 exactly, 2 all of it, 1 a part that holds the first selector of each side, 0 another part. */
export function fit(
  want: { readonly local: readonly TrafficRange[]; readonly remote: readonly TrafficRange[] },
  have: { readonly local: readonly TrafficRange[]; readonly remote: readonly TrafficRange[] },
): number {
  const local = narrow(want.local, have.local);
  const remote = narrow(want.remote, have.remote);
  if (local.length === 0 || remote.length === 0) return -1;
  if (sameRanges(want.local, have.local) && sameRanges(want.remote, have.remote)) return 3;
  if (
    want.local.every((r) => local.some((p) => contains(p, r))) &&
    want.remote.every((r) => remote.some((p) => contains(p, r)))
  ) {
    return 2;
  }
  const [l, r] = [want.local[0], want.remote[0]];
  return l && r && local.some((p) => contains(p, l)) && remote.some((p) => contains(p, r)) ? 1 : 0;
}

/** `10.1.0.0/16`, `10.1.0.0-10.1.0.9[tcp 80]` … for messages about selectors. */
export function rangesText(ranges: readonly TrafficRange[]): string {
  return ranges.map(rangeText).join(", ") || "none";
}

function rangeText(r: TrafficRange): string {
  const prefixes = rangeToPrefixes(r.first, r.last);
  const address = prefixes.length === 1 ? String(prefixes[0]) : `${r.first}-${r.last}`;
  const anyPort = r.firstPort === 0 && r.lastPort === ANY_PORT;
  if (r.protocol === 0 && anyPort) return address;
  const ports = anyPort ? "" : `/${r.firstPort === r.lastPort ? r.firstPort : `${r.firstPort}-${r.lastPort}`}`;
  return `${address}[${r.protocol || "any"}${ports}]`;
}
