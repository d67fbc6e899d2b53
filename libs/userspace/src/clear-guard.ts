import { type Family, IpAddress, Prefix } from "@sallyport/base";
import type { PolicySpec } from "@sallyport/dataplane";
import type { RouteNetlink, Rule } from "@sallyport/linux-io";
import { translated } from "./faults.js";
import type { InnerPacket } from "./packet.js";
import { PrefixWords } from "./selector.js";

/** Rules are walked one by one for every new route: no more than this of each family. Networks beyond it are not guarded. */
const LIMIT = 256;

interface Guarded {
  readonly side: "from" | "to";
  readonly prefix: Prefix;
  readonly words: PrefixWords;
  users: number;
  readonly hasRule: boolean;
}

/** Packets of which network a policy has to see although no tunnel's route leads them here. */
function guardOf({ direction, action, template, selector }: PolicySpec): Pick<Guarded, "side" | "prefix"> | undefined {
  if (direction === "out") return action === "discard" ? { side: "to", prefix: selector.destination } : undefined;
  if (action === "none" || template?.level === "use") return undefined;
  return { side: "from", prefix: selector.source };
}

/**
 * Leads to the TUN device too what no tunnel's route leads there, to be held against the policies: forwarded packets from the far
 * networks that come unprotected (RFC 4301 §5.2 step 4, POL-24), and packets to networks that a policy shuts off (POL-26). By a routing
 * rule a network. Packets to this machine's own addresses never get so far.
 */
export class ClearGuard {
  readonly #guarded = new Map<string, Guarded>();
  readonly #rules: Record<Family, number> = { 4: 0, 6: 0 };

  constructor(
    private readonly netlink: RouteNetlink,
    private readonly rule: Omit<Rule, "family" | "from" | "to">,
  ) {}

  async add(policy: PolicySpec): Promise<void> {
    const wanted = guardOf(policy);
    if (!wanted) return;
    const { side, prefix } = wanted;
    const before = this.#guarded.get(nameOf(wanted));
    if (before) {
      before.users++;
      return;
    }
    const hasRule = this.#rules[prefix.family] < LIMIT;
    const added = { side, prefix, words: new PrefixWords(prefix), users: 1, hasRule };
    this.#guarded.set(nameOf(added), added);
    if (!hasRule) return;
    this.#rules[prefix.family]++;
    try {
      for (const rule of this.#rulesOf(added)) await this.netlink.addRule(rule);
    } catch (error) {
      this.#forget(added);
      throw translated(error, `selector.${side === "from" ? "source" : "destination"}`);
    }
  }

  async remove(policy: PolicySpec): Promise<void> {
    const wanted = guardOf(policy);
    const found = wanted && this.#guarded.get(nameOf(wanted));
    if (!found || --found.users > 0) return;
    this.#forget(found);
    if (found.hasRule) await this.#removeRules(found);
  }

  async clear(): Promise<void> {
    const all = [...this.#guarded.values()];
    for (const guarded of all) this.#forget(guarded);
    await Promise.all(all.filter(({ hasRule }) => hasRule).map((one) => this.#removeRules(one)));
  }

  /** Whether the packet may be here because of a guarded network. */
  covers(packet: InnerPacket): boolean {
    for (const { side, prefix, words } of this.#guarded.values()) {
      const address = side === "from" ? packet.source : packet.destination;
      if (prefix.family === packet.family && words.holds(address, packet.family)) return true;
    }
    return false;
  }

  #forget(guarded: Guarded): void {
    this.#guarded.delete(nameOf(guarded));
    if (guarded.hasRule) this.#rules[guarded.prefix.family]--;
  }

  /** A rule for everything would be taken for any other rule of its place: it becomes one for each half. */
  #rulesOf({ side, prefix }: Guarded): Rule[] {
    const { family, last } = prefix;
    const parts = prefix.length > 0 ? [prefix] : [Prefix.of(IpAddress.any(family), 1), Prefix.of(last, 1)];
    return parts.map((part) => ({ ...this.rule, family, [side]: part }));
  }

  async #removeRules(guarded: Guarded): Promise<void> {
    for (const rule of this.#rulesOf(guarded)) await this.netlink.removeRule(rule);
  }
}

function nameOf({ side, prefix }: Pick<Guarded, "side" | "prefix">): string {
  return `${side} ${prefix}`;
}
