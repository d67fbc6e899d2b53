import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import path from "node:path";
import type { CaseResult } from "@sallyport/dataplane";

export const ROOT = path.resolve(import.meta.dirname, "../..");

/** Runs the suite in a process of its own, by `run`, and reads what came of it; empty when it did not come to an end. */
export async function resultsOf(
  adapter: "kernel" | "userspace",
  run: (command: readonly string[], scratch: string) => Promise<string>,
): Promise<{ results: CaseResult[]; output: string }> {
  const parent = path.join(ROOT, ".sallyport", "tmp");
  await mkdir(parent, { recursive: true });
  const scratch = await mkdtemp(path.join(parent, "compliance-"));
  try {
    const file = path.join(scratch, "results.json");
    const output = await run([process.execPath, path.join(import.meta.dirname, "main.ts"), adapter, file], scratch);
    const results = await readFile(file, "utf8").then(
      (text) => JSON.parse(text) as CaseResult[],
      () => [],
    );
    return { results, output };
  } finally {
    await rm(scratch, { recursive: true });
  }
}

/** Each case as a test of its own. */
export function tell(name: string, { results, output }: { results: readonly CaseResult[]; output: string }): void {
  describe(name, () => {
    it("runs the whole suite", () => {
      if (results.length === 0) throw new Error(output);
      expect(results.length).toBeGreaterThan(70);
    });
    for (const { name: caseName, outcome, error } of results) {
      it(`${caseName}${outcome === "not-applicable" ? " (what it lacks its capabilities say)" : ""}`, () => {
        if (outcome === "failed") throw new Error(error);
        expect(["passed", "not-applicable"]).toContain(outcome);
      });
    }
  });
}
