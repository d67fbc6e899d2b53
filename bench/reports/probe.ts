/**
 * Preloaded into the agent, which is otherwise as it is: answers every message of its parent with how long the event loop was held
 * since the last one.
 */
import { openSync, readSync } from "node:fs";
import { constants, type NodeGCPerformanceDetail, PerformanceObserver } from "node:perf_hooks";
import { isMainThread } from "node:worker_threads";

/** Milliseconds. */
export interface Held {
  /** Between two firings of a timer: of CPU time of the event loop's thread, and by the clock, with whatever else had the core meanwhile. */
  readonly own: number;
  readonly seen: number;
  /** The longest collections of what is young and of everything. */
  readonly scavenge: number;
  readonly markSweep: number;
}

if (isMainThread) {
  /** The kernel's count for this process' first thread, which runs the event loop: nanoseconds on a core. */
  const schedstat = openSync(`/proc/self/task/${process.pid}/schedstat`, "r");
  const room = Buffer.alloc(64);
  const onCore = () =>
    Number.parseInt(room.toString("latin1", 0, readSync(schedstat, room, 0, room.length, 0)), 10) / 1e6;
  const none: Held = { own: 0, seen: 0, scavenge: 0, markSweep: 0 };
  let held = none;
  let last = { own: onCore(), seen: performance.now() };
  setInterval(() => {
    const now = { own: onCore(), seen: performance.now() };
    const { own, seen } = held;
    held = { ...held, own: Math.max(own, now.own - last.own), seen: Math.max(seen, now.seen - last.seen) };
    last = now;
  }, 1).unref();
  const collections = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const { duration, detail } = entry as typeof entry & { readonly detail: NodeGCPerformanceDetail };
      const { kind } = detail;
      const what = kind === constants.NODE_PERFORMANCE_GC_MINOR ? "scavenge" : "markSweep";
      held = { ...held, [what]: Math.max(held[what], duration) };
    }
  });
  collections.observe({ entryTypes: ["gc"] });
  process.on("message", () => {
    process.send?.(held);
    held = none;
  });
  process.channel?.unref();
}
