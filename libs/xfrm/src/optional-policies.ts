import type { PolicySpec, PolicyTemplate } from "@sallyport/dataplane";
import { policyKey } from "./registry.js";
import type { KernelSa } from "./wire/sa.js";

type Outbound = Pick<KernelSa, "destination" | "source" | "protocol" | "mode" | "reqid" | "direction">;

interface Entry {
  readonly policy: PolicySpec;
  readonly fit: string;
  encrypts: boolean;
}

/**
 * Outbound policies of level `use`. The kernel has no such thing: it refuses optional templates in outbound tunnel policies,
 * and with one in transport mode it still asks for an SA. So such a policy stands as `none` while no SA fits its template,
 * and as `encrypt` while one does.
 */
export class OptionalPolicies {
  readonly #policies = new Map<string, Entry>();
  /** The same by what an SA has to be to fit them. */
  readonly #wanting = new Map<string, Set<Entry>>();
  /** Of outbound SAs by their keys, and how many there are of each: what a template has to name. */
  readonly #fits = new Map<string, string>();
  readonly #standing = new Map<string, number>();

  static applies(policy: PolicySpec): boolean {
    return policy.direction === "out" && policy.template?.level === "use";
  }

  /** What to install for `policy` now. */
  set(policy: PolicySpec): PolicySpec {
    this.delete(policy);
    const fit = fitOf(policy.template as PolicyTemplate);
    const entry = { policy, fit, encrypts: this.#standing.has(fit) };
    this.#policies.set(policyKey(policy), entry);
    const others = this.#wanting.get(fit);
    if (others) others.add(entry);
    else this.#wanting.set(fit, new Set([entry]));
    return installed(entry);
  }

  delete(policy: Pick<PolicySpec, "direction" | "selector">): void {
    const key = policyKey(policy);
    const entry = this.#policies.get(key);
    if (!entry) return;
    this.#policies.delete(key);
    const others = this.#wanting.get(entry.fit);
    if (others?.delete(entry) && others.size === 0) this.#wanting.delete(entry.fit);
  }

  /** The policy as it was asked for, where the kernel's differs. */
  asked(policy: PolicySpec): PolicySpec {
    return this.#policies.get(policyKey(policy))?.policy ?? policy;
  }

  /** An SA came; the policies that have to be installed again. */
  added(key: string, sa: Outbound): PolicySpec[] {
    if (sa.direction === "in") return [];
    this.#forget(key);
    const fit = fitOf(sa);
    this.#fits.set(key, fit);
    this.#standing.set(fit, (this.#standing.get(fit) ?? 0) + 1);
    return this.#changes(fit);
  }

  /** An SA went; the policies that have to be installed again. */
  removed(key: string): PolicySpec[] {
    const fit = this.#forget(key);
    return fit === undefined ? [] : this.#changes(fit);
  }

  #forget(key: string): string | undefined {
    const fit = this.#fits.get(key);
    if (fit === undefined) return undefined;
    this.#fits.delete(key);
    const rest = (this.#standing.get(fit) ?? 1) - 1;
    if (rest > 0) this.#standing.set(fit, rest);
    else this.#standing.delete(fit);
    return fit;
  }

  clear(): void {
    this.#policies.clear();
    this.#wanting.clear();
    this.#fits.clear();
    this.#standing.clear();
  }

  #changes(fit: string): PolicySpec[] {
    const encrypts = this.#standing.has(fit);
    const changed: PolicySpec[] = [];
    for (const entry of this.#wanting.get(fit) ?? []) {
      if (entry.encrypts === encrypts) continue;
      entry.encrypts = encrypts;
      changed.push(installed(entry));
    }
    return changed;
  }
}

function fitOf({ reqid, protocol, mode, source, destination }: Omit<Outbound, "direction">): string {
  return [reqid, protocol, mode, source, destination].join(" ");
}

function installed({ policy, encrypts }: Entry): PolicySpec {
  if (encrypts) return policy;
  const { direction, selector, priority } = policy;
  return { direction, selector, priority, action: "none" };
}
