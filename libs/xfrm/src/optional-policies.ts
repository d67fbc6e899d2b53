import type { PolicySpec, PolicyTemplate } from "@sallyport/dataplane";
import { policyKey } from "./registry.js";
import type { KernelSa } from "./wire/sa.js";

type Outbound = Pick<KernelSa, "destination" | "source" | "protocol" | "mode" | "reqid" | "direction">;

/**
 * Outbound policies of level `use`. The kernel has no such thing: it refuses optional templates in outbound tunnel policies,
 * and with one in transport mode it still asks for an SA. So such a policy stands as `none` while no SA fits its template,
 * and as `encrypt` while one does.
 */
export class OptionalPolicies {
  readonly #policies = new Map<string, { readonly policy: PolicySpec; encrypts: boolean }>();
  readonly #sas = new Map<string, Outbound>();

  static applies(policy: PolicySpec): boolean {
    return policy.direction === "out" && policy.template?.level === "use";
  }

  /** What to install for `policy` now. */
  set(policy: PolicySpec): PolicySpec {
    const encrypts = this.#covered(policy.template as PolicyTemplate);
    this.#policies.set(policyKey(policy), { policy, encrypts });
    return encrypts ? policy : inTheClear(policy);
  }

  delete(policy: Pick<PolicySpec, "direction" | "selector">): void {
    this.#policies.delete(policyKey(policy));
  }

  /** The policy as it was asked for, where the kernel's differs. */
  asked(policy: PolicySpec): PolicySpec {
    return this.#policies.get(policyKey(policy))?.policy ?? policy;
  }

  /** An SA came; the policies that have to be installed again. */
  added(key: string, sa: Outbound): PolicySpec[] {
    if (sa.direction === "in") return [];
    this.#sas.set(key, sa);
    return this.#changes();
  }

  /** An SA went; the policies that have to be installed again. */
  removed(key: string): PolicySpec[] {
    return this.#sas.delete(key) ? this.#changes() : [];
  }

  clear(): void {
    this.#policies.clear();
    this.#sas.clear();
  }

  #covered(template: PolicyTemplate): boolean {
    for (const sa of this.#sas.values()) {
      const fits = sa.reqid === template.reqid && sa.protocol === template.protocol && sa.mode === template.mode;
      if (fits && sa.destination.equals(template.destination) && sa.source.equals(template.source)) return true;
    }
    return false;
  }

  #changes(): PolicySpec[] {
    const changed: PolicySpec[] = [];
    for (const entry of this.#policies.values()) {
      const encrypts = this.#covered(entry.policy.template as PolicyTemplate);
      if (encrypts === entry.encrypts) continue;
      entry.encrypts = encrypts;
      changed.push(encrypts ? entry.policy : inTheClear(entry.policy));
    }
    return changed;
  }
}

function inTheClear(policy: PolicySpec): PolicySpec {
  const { direction, selector, priority } = policy;
  return { direction, selector, priority, action: "none" };
}
