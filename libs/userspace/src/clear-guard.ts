import type { Family, Prefix } from "@sallyport/base";
import type { PolicySpec } from "@sallyport/dataplane";
import type { RouteNetlink, Rule } from "@sallyport/linux-io";
import { translated } from "./faults.js";
import type { InnerPacket } from "./packet.js";
import { PrefixWords } from "./selector.js";

/** Rules are walked one by one for every new route: no more than this of each family. Networks beyond it are not guarded. */
const LIMIT = 256;

interface Guarded {
  readonly prefix: Prefix;
  readonly words: PrefixWords;
  users: number;
  readonly hasRule: boolean;
}

/** Whether packets that match this policy may not come in the clear. */
function forbidsClear({ direction, action, template }: PolicySpec): boolean {
  return direction !== "out" && action !== "none" && template?.level !== "use";
}

/**
 * Leads forwarded packets from the far networks that come unprotected to the TUN device too, where they are held against the
 * policies (RFC 4301 §5.2 step 4, POL-24): by a routing rule a network. Packets to this machine's own addresses never get so far.
 */
export class ClearGuard {
  readonly #guarded = new Map<string, Guarded>();
  readonly #rules: Record<Family, number> = { 4: 0, 6: 0 };

  constructor(
    private readonly netlink: RouteNetlink,
    private readonly rule: Omit<Rule, "family" | "from">,
  ) {}

  async add(policy: PolicySpec): Promise<void> {
    if (!forbidsClear(policy)) return;
    const prefix = policy.selector.source;
    const before = this.#guarded.get(prefix.toString());
    if (before) {
      before.users++;
      return;
    }
    const hasRule = this.#rules[prefix.family] < LIMIT;
    const added = { prefix, words: new PrefixWords(prefix), users: 1, hasRule };
    this.#guarded.set(prefix.toString(), added);
    if (!hasRule) return;
    this.#rules[prefix.family]++;
    try {
      await this.netlink.addRule(this.#ruleOf(prefix));
    } catch (error) {
      this.#forget(added);
      throw translated(error, "selector.source");
    }
  }

  async remove(policy: PolicySpec): Promise<void> {
    const found = forbidsClear(policy) && this.#guarded.get(policy.selector.source.toString());
    if (!found || --found.users > 0) return;
    this.#forget(found);
    if (found.hasRule) await this.netlink.removeRule(this.#ruleOf(found.prefix));
  }

  async clear(): Promise<void> {
    const all = [...this.#guarded.values()];
    for (const guarded of all) this.#forget(guarded);
    await Promise.all(
      all.filter(({ hasRule }) => hasRule).map(({ prefix }) => this.netlink.removeRule(this.#ruleOf(prefix))),
    );
  }

  /** Whether the packet may be here because it came from a guarded network. */
  covers(packet: InnerPacket): boolean {
    for (const { prefix, words } of this.#guarded.values()) {
      if (prefix.family === packet.family && words.holds(packet.source, packet.family)) return true;
    }
    return false;
  }

  #forget(guarded: Guarded): void {
    this.#guarded.delete(guarded.prefix.toString());
    if (guarded.hasRule) this.#rules[guarded.prefix.family]--;
  }

  #ruleOf(prefix: Prefix): Rule {
    return { ...this.rule, family: prefix.family, from: prefix };
  }
}
