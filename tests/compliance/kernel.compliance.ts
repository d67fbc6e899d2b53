import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import path from "node:path";
import type { CaseResult } from "@sallyport/dataplane";
import { runInUml } from "@sallyport/testkit";

/**
 * The compliance suite against a real kernel, User Mode Linux, in one guest: it runs while this file loads, and each case is
 * told here as a test of its own. Needs root and Debian's user-mode-linux, and the compiled libraries.
 */
const root = path.resolve(import.meta.dirname, "../..");
const scratch = path.join(root, ".sallyport", "tmp");
await mkdir(scratch, { recursive: true });
const directory = await mkdtemp(path.join(scratch, "compliance-"));
const file = path.join(directory, "results.json");
const guest = await runInUml([process.execPath, path.join(import.meta.dirname, "kernel.ts"), file], {
  directory: root,
  writable: [directory],
  timeoutMs: 480_000,
});
const results = await readFile(file, "utf8").then(
  (text) => JSON.parse(text) as CaseResult[],
  () => [],
);
await rm(directory, { recursive: true });

describe("kernel data plane", () => {
  it("runs in the guest", () => {
    if (results.length === 0) throw new Error(`status ${guest.status}\n${guest.output}\n${guest.console}`);
    expect(results.length).toBeGreaterThan(70);
  });

  it.each(results)("$name", ({ outcome, error }) => {
    if (outcome === "failed") throw new Error(error);
    // What the kernel lacks its capabilities say; nothing of the suite is beyond this one.
    expect(outcome).toBe("passed");
  });
});
