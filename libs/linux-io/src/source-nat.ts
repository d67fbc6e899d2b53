import { access } from "node:fs/promises";
import type { Family, IpAddress, Prefix } from "@sallyport/base";
import { fault } from "./faults.js";
import { FAMILIES, removeChain, restore, TOOLS } from "./netfilter.js";

/** Packets from `source` to `destination` leave with the address `to`. */
export interface SourceNatRule {
  readonly source: Prefix;
  readonly destination: Prefix;
  readonly to: IpAddress;
}

const CHAIN = "SALLYPORT";

const key = ({ source, destination, to }: SourceNatRule) => `${source} ${destination} ${to}`;

/**
 * Source NAT of the kernel, in a chain of our own that stands before all other rules: what a tunnel is for must have its address
 * before anything else masquerades it. Policies are looked up once more behind it. The chain is there only while it has rules.
 */
export class SourceNat {
  readonly #rules = new Map<string, SourceNatRule>();
  readonly #tools = new Map<Family, string>();
  #tail: Promise<unknown> = Promise.resolve();

  /** `linux-io/nat-refused` where the kernel or the tools for it are missing; then nothing has changed. */
  install(rule: SourceNatRule): Promise<void> {
    return this.#alone(async () => {
      if (this.#rules.has(key(rule))) return;
      this.#rules.set(key(rule), rule);
      try {
        await this.#put(rule.to.family);
      } catch (error) {
        this.#rules.delete(key(rule));
        throw error;
      }
    });
  }

  remove(rule: SourceNatRule): Promise<void> {
    return this.#alone(async () => {
      if (this.#rules.delete(key(rule))) await this.#put(rule.to.family);
    });
  }

  /** Removes everything, what a killed process left behind as well. */
  clear(): Promise<void> {
    return this.#alone(async () => {
      this.#rules.clear();
      if (await isIdle()) return;
      await Promise.all(FAMILIES.flatMap((family) => TOOLS[family].map((tool) => takeOut(tool))));
      this.#tools.clear();
    });
  }

  #alone<T>(action: () => Promise<T>): Promise<T> {
    const mine = this.#tail.then(action);
    this.#tail = mine.catch(() => undefined);
    return mine;
  }

  /** Makes the chain of one family what the rules say, in one step. */
  async #put(family: Family): Promise<void> {
    const rules = [...this.#rules.values()].filter((rule) => rule.to.family === family);
    const known = this.#tools.get(family);
    if (rules.length === 0) {
      if (known) await takeOut(known);
      this.#tools.delete(family);
      return;
    }
    const lines = rules.map((r) => `-A ${CHAIN} -s ${r.source} -d ${r.destination} -j SNAT --to-source ${r.to}`);
    const jump = known ? [] : [`-I POSTROUTING 1 -j ${CHAIN}`];
    const table = ["*nat", `:${CHAIN} - [0:0]`, ...lines, ...jump, "COMMIT", ""].join("\n");
    const { tool, errors } = await restore(known ? [known] : TOOLS[family], table);
    if (tool) {
      this.#tools.set(family, tool);
      return;
    }
    throw fault("linux-io/nat-refused", `source NAT is not to be had: ${errors.join("; ")}`, {
      value: String(rules.at(-1)?.to),
      expected: "a kernel with NAT and Debian's package iptables",
    });
  }
}

/** Where no connection is tracked nothing is translated. */
async function isIdle(): Promise<boolean> {
  return access("/proc/sys/net/netfilter/nf_conntrack_count").then(
    () => false,
    () => true,
  );
}

const takeOut = (tool: string) => removeChain(tool, "nat", "POSTROUTING", CHAIN);
