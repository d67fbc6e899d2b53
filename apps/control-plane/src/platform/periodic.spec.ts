import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, it } from "@jest/globals";
import { createLog } from "./log/log.js";
import { Periodic } from "./periodic.js";

const lines: string[] = [];
const log = createLog("warn", { write: (line: string) => lines.push(line) });

async function until(done: () => boolean): Promise<void> {
  for (const end = performance.now() + 30_000; !done(); await turn()) {
    if (performance.now() > end) throw new Error("it did not happen");
  }
}

describe("periodic work", () => {
  it("goes on after a failure, never twice at a time, and ends when it is stopped", async () => {
    let [runs, atOnce, most] = [0, 0, 0];
    const periodic = new Periodic(async () => {
      runs++;
      most = Math.max(most, ++atOnce);
      await turn();
      atOnce--;
      if (runs === 2) throw new Error("the database is away");
    }, log);
    periodic.start(1, 1);
    await until(() => runs >= 4);
    await periodic.stop();
    const ended = runs;
    expect([most, atOnce, periodic.stopped]).toEqual([1, 0, true]);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(runs).toBe(ended);
    expect(lines.filter((line) => line.includes("the database is away"))).toHaveLength(1);
  });
});
