import { writeFileSync } from "node:fs";
import path from "node:path";
import { type CaseResult, runCompliance } from "@sallyport/dataplane";
import { makePair } from "@sallyport/testkit";

/**
 * `main.ts kernel|userspace [RESULTS [ONLY]]` runs the suite in namespaces of the kernel that this process runs under, tells
 * each case, and writes the results as JSON. `ONLY` takes the cases whose name holds it.
 */
const [adapter = "userspace", file, only] = process.argv.slice(2);
const gatewayModule = path.join(import.meta.dirname, `${adapter}-gateway.ts`);
const MARK = { failed: "✗", passed: "✓", "not-applicable": "–" } as const;
const report = ({ outcome, name, milliseconds, error }: CaseResult) => {
  console.log(`${MARK[outcome]} ${name} (${milliseconds} ms)`);
  if (error) console.log(error.replaceAll(/^/gm, "    "));
};
const results = await runCompliance(() => makePair({ gatewayModule }), {
  onResult: report,
  ...(only === undefined ? {} : { only }),
});
if (file !== undefined) writeFileSync(file, JSON.stringify(results));
const failed = results.filter((result) => result.outcome === "failed").length;
console.log(`${results.length} cases, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
