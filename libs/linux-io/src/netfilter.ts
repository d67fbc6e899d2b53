import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import type { Family } from "@sallyport/base";

/** A kernel has the newer tables or the older ones or both; the tools are those of Debian's `iptables`. */
export const TOOLS = {
  4: ["iptables", "iptables-legacy"],
  6: ["ip6tables", "ip6tables-legacy"],
} as const satisfies Record<Family, readonly string[]>;
export const FAMILIES = [4, 6] as const;
const MAX_ERROR = 200;

/** Loads a table's text, in one step and without touching other chains, with the first tool that can; else what each said. */
export async function restore(
  tools: readonly string[],
  table: string,
): Promise<{ readonly tool?: string; readonly errors: readonly string[] }> {
  const errors: string[] = [];
  for (const tool of tools) {
    const error = await run(`${tool}-restore`, ["--noflush", "--wait", "5"], table);
    if (error === undefined) return { tool, errors };
    errors.push(`${tool}: ${error}`);
  }
  return { errors };
}

/** Removes a chain of ours and the jump to it, if they are there. */
export async function removeChain(tool: string, table: string, hook: string, chain: string): Promise<void> {
  const on = (...args: string[]) => run(tool, ["--wait", "5", "--table", table, ...args]);
  if (!(await hasChain(tool, table, chain))) return;
  await on("--delete", hook, "--jump", chain);
  await on("--flush", chain);
  await on("--delete-chain", chain);
}

export async function hasChain(tool: string, table: string, chain: string): Promise<boolean> {
  return (await run(tool, ["--wait", "5", "--table", table, "--list-rules", chain])) === undefined;
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
