import type { PolicyDirection, PolicySpec, RouteSpec, Selector } from "@sallyport/dataplane";
import type { DataPlaneOp } from "../api.js";

/** Policies and routes that one owner holds. */
export interface Entries {
  readonly policies: readonly PolicySpec[];
  readonly routes: readonly RouteSpec[];
}

interface Held<T> {
  spec: T;
  count: number;
}

function portText(port: number | undefined): string {
  return port === undefined ? "*" : String(port);
}

export function selectorKey(s: Selector): string {
  return `${s.source}[${portText(s.sourcePort)}]>${s.destination}[${portText(s.destinationPort)}]/${s.protocol}`;
}

function samePolicy(a: PolicySpec, b: PolicySpec): boolean {
  const [x, y] = [a.template, b.template];
  if (a.action !== b.action || a.priority !== b.priority || (x === undefined) !== (y === undefined)) return false;
  if (x === undefined || y === undefined) return true;
  return (
    x.reqid === y.reqid &&
    x.mode === y.mode &&
    x.level === y.level &&
    x.protocol === y.protocol &&
    x.source.equals(y.source) &&
    x.destination.equals(y.destination)
  );
}

function sameRoute(a: RouteSpec, b: RouteSpec): boolean {
  const [x, y] = [a.source, b.source];
  return a.via.equals(b.via) && (x === y || (x !== undefined && y !== undefined && x.equals(y)));
}

/**
 * Policies and routes that several owners share – a trap, a CHILD SA and the one that replaces it – each in the data plane
 * once, as long as anybody holds it. A rekey therefore never takes a policy away.
 */
export class Holdings {
  readonly #policies = new Map<string, Held<PolicySpec>>();
  readonly #routes = new Map<string, Held<RouteSpec>>();

  get size(): number {
    return this.#policies.size + this.#routes.size;
  }

  holds(direction: PolicyDirection, selector: Selector): boolean {
    return this.#policies.has(`${direction} ${selectorKey(selector)}`);
  }

  holdPolicy(spec: PolicySpec): DataPlaneOp[] {
    const key = `${spec.direction} ${selectorKey(spec.selector)}`;
    const held = this.#policies.get(key);
    if (held === undefined) {
      this.#policies.set(key, { spec, count: 1 });
      return [{ op: "installPolicy", args: [spec] }];
    }
    held.count++;
    if (samePolicy(held.spec, spec)) return [];
    held.spec = spec;
    return [{ op: "installPolicy", args: [spec] }];
  }

  releasePolicy(spec: PolicySpec): DataPlaneOp[] {
    const key = `${spec.direction} ${selectorKey(spec.selector)}`;
    const held = this.#policies.get(key);
    if (held === undefined || --held.count > 0) return [];
    this.#policies.delete(key);
    return [{ op: "removePolicy", args: [spec.direction, spec.selector] }];
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
}
