import { readdirSync } from "node:fs";
import path from "node:path";
import { type Count, closingLine, jest as jestCount, STAGES } from "./stages.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
const names = STAGES.map(({ name }) => name);

it("names each stage once, and after what a stage comes", () => {
  expect(new Set(names).size).toBe(names.length);
  expect(STAGES.flatMap(({ after = [] }) => after).filter((name) => !names.includes(name))).toEqual([]);
});

it.each([
  { project: "interop-kernel", folder: "tests/interop", suffix: ".uml.ts" },
  { project: "compliance", folder: "tests/compliance", suffix: ".compliance.ts" },
  { project: "chaos", folder: "tests/chaos", suffix: ".chaos.ts" },
])("the stages of $project have each of its files once", ({ project, folder, suffix }) => {
  const chosen = STAGES.filter(({ command }) => command.includes(project)).map(
    ({ command }) => new RegExp(command[command.indexOf("--testPathPatterns") + 1] ?? ""),
  );
  const files = readdirSync(path.join(ROOT, folder)).filter((name) => name.endsWith(suffix));
  expect(files.length).toBeGreaterThan(1);
  for (const file of files) {
    expect([file, chosen.filter((pattern) => pattern.test(path.join(ROOT, folder, file))).length]).toEqual([file, 1]);
  }
});

it.each<[string, string, number, Count]>([
  ["all passed", "Tests:       12 passed, 12 total\n", 0, { passed: 12, failed: 0, skipped: 0 }],
  [
    "some of each",
    "Tests:       1 failed, 2 skipped, 1 todo, 3 passed, 7 total\n",
    1,
    { passed: 3, failed: 1, skipped: 3 },
  ],
  [
    "suites that did not load",
    "Test Suites: 2 failed, 2 total\nTests:       0 total\n",
    1,
    { passed: 0, failed: 2, skipped: 0 },
  ],
  ["a crash", "Segmentation fault\n", 1, { passed: 0, failed: 1, skipped: 0 }],
])("reads Jest's counts: %s", (_what, output, code, count) => {
  expect(jestCount(output, code)).toEqual(count);
});

it("reads the closing line of a runner of our own", () => {
  expect(closingLine("a: ok\n7 passed, 2 failed\n")).toEqual({ passed: 7, failed: 2, skipped: 0 });
  expect(closingLine("nothing\n")).toEqual({ passed: 0, failed: 0, skipped: 0 });
});
