import { writeFileSync } from "node:fs";
import path from "node:path";
import { type CaseResult, runCompliance } from "@sallyport/dataplane";
import { makePair } from "@sallyport/testkit";

/** Runs the suite against the kernel that this process runs under; `kernel.ts RESULTS [ONLY]` writes what came of it as JSON. */
const [file = "results.json", only] = process.argv.slice(2);
const gatewayModule = path.join(import.meta.dirname, "kernel-gateway.ts");
const report = ({ outcome, name, milliseconds, error }: CaseResult) => {
  console.log(`${outcome === "failed" ? "✗" : outcome === "passed" ? "✓" : "–"} ${name} (${milliseconds} ms)`);
  if (error) console.log(error.replaceAll(/^/gm, "    "));
};
const results = await runCompliance(() => makePair({ gatewayModule }), {
  onResult: report,
  ...(only === undefined ? {} : { only }),
});
writeFileSync(file, JSON.stringify(results));
const failed = results.filter((result) => result.outcome === "failed").length;
console.log(`${results.length} cases, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
