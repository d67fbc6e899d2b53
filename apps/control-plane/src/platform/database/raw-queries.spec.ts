import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "@jest/globals";

const SOURCE = path.resolve(import.meta.dirname, "../..");
/** The outbox is moved, and samples are rolled up, for all organizations at once. */
const FOR_ALL = new Set(["platform/outbox/relay.ts", "features/history/rollup.store.ts"]);

const files = readdirSync(SOURCE, { recursive: true, encoding: "utf8" }).filter(
  (f) => f.endsWith(".ts") && !f.includes("generated") && !f.endsWith(".spec.ts") && !FOR_ALL.has(f),
);
const queries = files.flatMap((file) =>
  [...readFileSync(path.join(SOURCE, file), "utf8").matchAll(/\$(?:queryRaw|executeRaw)(?:<[^`]*>)?`([^`]*)`/g)].map(
    ([, sql = ""]) => ({ file, sql }),
  ),
);

describe("raw queries, which the tenancy guard does not see", () => {
  test("are found", () => expect(queries.length).toBeGreaterThan(8));

  test.each(queries.filter(({ sql }) => /\b(from|join|update|into)\s+(?!pg_)[a-z_]+/i.test(sql)))(
    "of $file names the organization: $sql",
    ({ sql }) => expect(sql).toMatch(/organization_id|organizations/),
  );
});
