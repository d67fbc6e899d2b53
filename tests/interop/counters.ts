import { readFile } from "node:fs/promises";

export type Process = { readonly pid: number };

/** The sum of some counters of `/proc/net/xfrm_stat` in the namespace of a process. */
export async function countersOf({ pid }: Process, names: RegExp): Promise<number> {
  const text = await readFile(`/proc/${pid}/net/xfrm_stat`, "utf8");
  const counts = [...text.matchAll(/^Xfrm(\w+)\s+(\d+)$/gm)].filter(([, name = ""]) => names.test(name));
  return counts.reduce((sum, [, , count]) => sum + Number(count), 0);
}

/**
 * Packets that reached our kernel before the answer that makes their CHILD SA could be read: peers use it at once. The SPI is only
 * reserved by then, which the kernel counts in a line of its own.
 */
export const early = (ours: Process) => countersOf(ours, /^AcquireError$/);
