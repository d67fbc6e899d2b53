import { access } from "node:fs/promises";
import type { Family, IpAddress, Prefix } from "@sallyport/base";
import { fault } from "./faults.js";
import { FAMILIES, removeChain, restore, TOOLS } from "./netfilter.js";

/** Packets from `source` to `destination` leave with the address `to`; without one they do not leave unless another rule has one for them. */
export interface SourceNatRule {
  readonly source: Prefix;
  readonly destination: Prefix;
  readonly to?: IpAddress;
}

/** What has an address gets it in `nat`; in `mangle`, which comes before, what has none is stopped. */
const CHAINS = { nat: "SALLYPORT", mangle: "SALLYPORT_HOLD" } as const;
type Table = keyof typeof CHAINS;
const TABLES = Object.keys(CHAINS) as Table[];
const HOOK = "POSTROUTING";
/** Whatever its state: with the question the kernel tracks, by which a later start sees that something may be left of this one. */
const TRACKED = "-m conntrack --ctstate INVALID,UNTRACKED,NEW,RELATED,ESTABLISHED";

const key = ({ source, destination, to }: SourceNatRule) => `${source} ${destination} ${to ?? "-"}`;
const match = ({ source, destination }: SourceNatRule) => `-s ${source} -d ${destination}`;

/**
 * Source NAT of the kernel, in chains of our own that stand before all other rules: what a tunnel is for must have its address
 * before anything else masquerades it. Policies are looked up once more behind it. A chain is there only while it has rules.
 */
export class SourceNat {
  readonly #rules = new Map<string, SourceNatRule>();
  /** The tool that made a chain, by table and family. */
  readonly #made = new Map<string, string>();
  #tail: Promise<unknown> = Promise.resolve();

  /** `linux-io/nat-refused` where the kernel or the tools for it are missing; then nothing has changed. */
  install(rule: SourceNatRule): Promise<void> {
    return this.#alone(async () => {
      const { family } = rule.source;
      if (this.#rules.has(key(rule))) return;
      this.#rules.set(key(rule), rule);
      try {
        // An address is there before packets are let through to it, and as long as they are.
        for (const table of TABLES) await this.#put(table, family);
      } catch (error) {
        this.#rules.delete(key(rule));
        for (const table of TABLES) await this.#put(table, family).catch(() => undefined);
        throw error;
      }
    });
  }

  remove(rule: SourceNatRule): Promise<void> {
    return this.#alone(async () => {
      if (!this.#rules.delete(key(rule))) return;
      for (const table of TABLES.toReversed()) await this.#put(table, rule.source.family);
    });
  }

  /** Removes everything, what a killed process left behind as well. */
  clear(): Promise<void> {
    return this.#alone(async () => {
      this.#rules.clear();
      if (await isIdle()) return;
      const tools = FAMILIES.flatMap((family) => TOOLS[family]);
      await Promise.all(tools.flatMap((tool) => TABLES.map((table) => takeOut(tool, table))));
      this.#made.clear();
    });
  }

  #alone<T>(action: () => Promise<T>): Promise<T> {
    const mine = this.#tail.then(action);
    this.#tail = mine.catch(() => undefined);
    return mine;
  }

  /** Makes the chain of one table and family what the rules say, in one step. */
  async #put(table: Table, family: Family): Promise<void> {
    const rules = [...this.#rules.values()].filter((rule) => rule.source.family === family);
    const lines = LINES[table](rules);
    const name = `${table} ${family}`;
    const known = this.#made.get(name);
    if (lines.length === 0) {
      if (known) await takeOut(known, table);
      this.#made.delete(name);
      return;
    }
    const chain = CHAINS[table];
    const jump = known ? [] : [`-I ${HOOK} 1 -j ${chain}`];
    const text = [
      `*${table}`,
      `:${chain} - [0:0]`,
      ...lines.map((line) => `-A ${chain} ${line}`),
      ...jump,
      "COMMIT",
      "",
    ];
    const { tool, errors } = await restore(known ? [known] : TOOLS[family], text.join("\n"));
    if (tool) {
      this.#made.set(name, tool);
      return;
    }
    throw fault("linux-io/nat-refused", `source NAT is not to be had: ${errors.join("; ")}`, {
      value: String(rules.at(-1)?.to ?? rules.at(-1)?.source),
      expected: "a kernel with NAT and Debian's package iptables",
    });
  }
}

const LINES: Readonly<Record<Table, (rules: readonly SourceNatRule[]) => string[]>> = {
  nat: (rules) => rules.flatMap((rule) => (rule.to ? [`${match(rule)} -j SNAT --to-source ${rule.to}`] : [])),
  /**
   * A flow passes with its first packet, which gets the address then and there, and later when it has it: one that began without, or
   * with an address that is gone, does not.
   */
  mangle: (rules) => {
    const held = rules.filter((rule) => !rule.to);
    const hidden = [...new Set(held.map(({ source }) => String(source)))];
    const given = held.length > 0 ? rules.filter((rule) => rule.to) : [];
    return [
      ...hidden.map((network) => `-d ${network} -j RETURN`),
      ...given.flatMap((rule) =>
        ["! --ctstatus CONFIRMED", `--ctrepldst ${rule.to}`].map(
          (state) => `${match(rule)} -m conntrack ${state} -j RETURN`,
        ),
      ),
      ...held.map((rule) => `${match(rule)} ${TRACKED} -j DROP`),
    ];
  },
};

/** Where no connection is tracked nothing is translated. */
async function isIdle(): Promise<boolean> {
  return access("/proc/sys/net/netfilter/nf_conntrack_count").then(
    () => false,
    () => true,
  );
}

const takeOut = (tool: string, table: Table) => removeChain(tool, table, HOOK, CHAINS[table]);
