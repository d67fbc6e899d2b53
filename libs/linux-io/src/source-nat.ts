import { spawn } from "node:child_process";
import { access } from "node:fs/promises";
import { text } from "node:stream/consumers";
import type { Family, IpAddress, Prefix } from "@sallyport/base";
import { fault } from "./faults.js";

/** Packets from `source` to `destination` leave with the address `to`. */
export interface SourceNatRule {
  readonly source: Prefix;
  readonly destination: Prefix;
  readonly to: IpAddress;
}

const CHAIN = "SALLYPORT";
/** A kernel has the newer tables or the older ones or both; the tools are those of Debian's `iptables`. */
const TOOLS = {
  4: ["iptables", "iptables-legacy"],
  6: ["ip6tables", "ip6tables-legacy"],
} as const satisfies Record<Family, readonly string[]>;
const FAMILIES = [4, 6] as const;
const MAX_ERROR = 200;

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
    const errors: string[] = [];
    for (const tool of known ? [known] : TOOLS[family]) {
      const error = await run(`${tool}-restore`, ["--noflush", "--wait", "5"], table);
      if (error === undefined) {
        this.#tools.set(family, tool);
        return;
      }
      errors.push(`${tool}: ${error}`);
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

async function takeOut(tool: string): Promise<void> {
  const nat = (...args: string[]) => run(tool, ["--wait", "5", "--table", "nat", ...args]);
  if ((await nat("--list-rules", CHAIN)) !== undefined) return;
  await nat("--delete", "POSTROUTING", "--jump", CHAIN);
  await nat("--flush", CHAIN);
  await nat("--delete-chain", CHAIN);
}

/** Undefined when it ended well, else what it said. Nothing of it goes through a shell. */
async function run(command: string, args: readonly string[], input = ""): Promise<string | undefined> {
  const child = spawn(command, args, { stdio: ["pipe", "ignore", "pipe"] });
  const ended = new Promise<string | undefined>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("close", (code, signal) => resolve(code === 0 ? undefined : `ended with ${code ?? signal}`));
  });
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  const [said, outcome] = await Promise.all([text(child.stderr).catch(() => ""), ended]);
  return outcome === undefined ? undefined : said.trim().slice(0, MAX_ERROR) || outcome;
}
