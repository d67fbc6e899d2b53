import type { PolicyDirection, PolicySpec, RouteSpec, Selector, SourceNatSpec } from "@sallyport/dataplane";
import type { DataPlaneOp } from "../api.js";

/** Policies and routes that one owner holds. */
export interface Entries {
  readonly policies: readonly PolicySpec[];
  readonly routes: readonly RouteSpec[];
  readonly nats: readonly SourceNatSpec[];
}

interface Held<T> {
  spec: T;
  count: number;
}

/** The policy in force, and what other owners want for the same packets. */
interface HeldPolicy extends Held<PolicySpec> {
  others: readonly Held<PolicySpec>[] | undefined;
}

function portText(port: number | undefined, bits = 16): string {
  return port === undefined ? "*" : `${port}/${bits}`;
}

/** Joined and not a template, which would stay a tree of its parts, several times as large, as long as it is a key. */
function policyKey(direction: PolicyDirection, s: Selector): string {
  const [from, to] = [portText(s.sourcePort, s.sourcePortBits), portText(s.destinationPort, s.destinationPortBits)];
  return [direction, s.source, from, s.destination, to, s.protocol].join(" ");
}

/** Whether both lead to the same SAs, or do the same without one. */
function sameOutcome(a: PolicySpec, b: PolicySpec): boolean {
  const [x, y] = [a.template, b.template];
  if (a.action !== b.action || x === undefined || y === undefined) return a.action === b.action && x === y;
  return (
    x.reqid === y.reqid &&
    x.mode === y.mode &&
    x.protocol === y.protocol &&
    x.source.equals(y.source) &&
    x.destination.equals(y.destination)
  );
}

function samePolicy(a: PolicySpec, b: PolicySpec): boolean {
  return a.priority === b.priority && a.template?.level === b.template?.level && sameOutcome(a, b);
}

function sameRoute(a: RouteSpec, b: RouteSpec): boolean {
  const [x, y] = [a.source, b.source];
  return a.via.equals(b.via) && (x === y || (x !== undefined && y !== undefined && x.equals(y)));
}

/**
 * Policies and routes that several owners share – a trap, a CHILD SA and the one that replaces it – each in the data plane
 * once, as long as anybody holds it. A rekey therefore never takes a policy away. Where owners want different things for the same
 * packets, the lowest priority value is in force, of equals the latest (POL-14).
 */
export class Holdings {
  readonly #policies = new Map<string, HeldPolicy>();
  readonly #routes = new Map<string, Held<RouteSpec>>();
  readonly #nats = new Map<string, Held<SourceNatSpec>>();

  get size(): number {
    return this.#policies.size + this.#routes.size + this.#nats.size;
  }

  holds(direction: PolicyDirection, selector: Selector): boolean {
    return this.#policies.has(policyKey(direction, selector));
  }

  /** Whether this very policy is in force, and not another one for the same packets. */
  inForce(spec: PolicySpec): boolean {
    const held = this.#policies.get(policyKey(spec.direction, spec.selector));
    return held !== undefined && sameOutcome(held.spec, spec);
  }

  holdPolicy(spec: PolicySpec): DataPlaneOp[] {
    const key = policyKey(spec.direction, spec.selector);
    const held = this.#policies.get(key);
    if (held === undefined) {
      this.#policies.set(key, { spec, count: 1, others: undefined });
      return [{ op: "installPolicy", args: [spec] }];
    }
    if (samePolicy(held.spec, spec)) {
      held.count++;
      return [];
    }
    const known = held.others?.find((o) => samePolicy(o.spec, spec));
    const mine = { spec, count: (known?.count ?? 0) + 1 };
    const rest = held.others?.filter((o) => o !== known) ?? [];
    if (spec.priority > held.spec.priority) {
      held.others = [...rest, mine];
      return [];
    }
    this.#policies.set(key, { ...mine, others: [...rest, { spec: held.spec, count: held.count }] });
    return [{ op: "installPolicy", args: [spec] }];
  }

  releasePolicy(spec: PolicySpec): DataPlaneOp[] {
    const key = policyKey(spec.direction, spec.selector);
    const held = this.#policies.get(key);
    if (held === undefined) return [];
    const all: Held<PolicySpec>[] = [held, ...(held.others ?? [])];
    const mine = all.find((h) => samePolicy(h.spec, spec)) ?? all.find((h) => sameOutcome(h.spec, spec));
    if (mine === undefined || --mine.count > 0) return [];
    const rest = all.filter((h) => h !== mine);
    if (mine !== held) {
      held.others = rest.length > 1 ? rest.slice(1) : undefined;
      return [];
    }
    const next = rest.reduceRight<Held<PolicySpec> | undefined>(
      (best, h) => (best && best.spec.priority <= h.spec.priority ? best : h),
      undefined,
    );
    if (next === undefined) {
      this.#policies.delete(key);
      return [{ op: "removePolicy", args: [spec.direction, spec.selector] }];
    }
    const others = rest.filter((h) => h !== next);
    this.#policies.set(key, { ...next, others: others.length > 0 ? others : undefined });
    return [{ op: "installPolicy", args: [next.spec] }];
  }

  holdRoute(spec: RouteSpec): DataPlaneOp[] {
    const key = spec.destination.toString();
    const held = this.#routes.get(key);
    if (held === undefined) {
      this.#routes.set(key, { spec, count: 1 });
      return [{ op: "installRoute", args: [spec] }];
    }
    held.count++;
    const before = held.spec;
    if (sameRoute(before, spec)) return [];
    held.spec = spec;
    return [
      { op: "removeRoute", args: [before] },
      { op: "installRoute", args: [spec] },
    ];
  }

  releaseRoute(spec: RouteSpec): DataPlaneOp[] {
    const key = spec.destination.toString();
    const held = this.#routes.get(key);
    if (held === undefined || --held.count > 0) return [];
    this.#routes.delete(key);
    return [{ op: "removeRoute", args: [held.spec] }];
  }

  holdNat(spec: SourceNatSpec): DataPlaneOp[] {
    const key = natKey(spec);
    const held = this.#nats.get(key);
    this.#nats.set(key, { spec, count: (held?.count ?? 0) + 1 });
    return held ? [] : [{ op: "installSourceNat", args: [spec] }];
  }

  releaseNat(spec: SourceNatSpec): DataPlaneOp[] {
    const key = natKey(spec);
    const held = this.#nats.get(key);
    if (held === undefined || --held.count > 0) return [];
    this.#nats.delete(key);
    return [{ op: "removeSourceNat", args: [spec] }];
  }
}

function natKey({ source, destination, to }: SourceNatSpec): string {
  return [source, destination, to ?? "-"].join(" ");
}
