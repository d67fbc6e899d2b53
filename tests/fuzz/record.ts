import { execFileSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";

const ROOT = path.resolve(import.meta.dirname, "../..");
const FILE = path.join(ROOT, "docs/fuzzing-record.md");

const HEAD = `# Fuzzing record

The last long run of every target, each row written by the run itself: \`node tests/fuzz/main.ts --seconds N --record [target…]\`, where N is the
row's seconds. What the targets hold an input to is in [fuzzing.md](fuzzing.md). An input of more than 10 s (a hang), more than 2,048 MB, an exception that
nobody declared, or a broken promise of the target fails its row. The runs had a part of two cores that they shared with builds and other tests, at a
lower priority than these: an idle machine tries several times as many inputs in the same time.

`;
const COLUMNS = [
  "target",
  "result",
  "seconds",
  "inputs tried",
  "kept inputs at the start",
  "inputs that reached more",
  "coverage, edges",
  "slowest input, s",
  "most memory, MB",
  "date",
  "commit",
  "Node.js",
];

/** What a run over one target came to. */
export interface Recorded {
  readonly target: string;
  readonly ok: boolean;
  readonly kept: number;
  /** Inputs that reached more than the kept ones. */
  readonly found: number;
  readonly executions: number;
  readonly coverage: number;
  /** Whole seconds that the slowest input took. */
  readonly slowest: number;
  readonly megabytes: number;
}

const row = (cells: readonly (string | number)[]) => `| ${cells.join(" | ")} |`;

/** Puts the row of a target into the record and leaves the other targets' rows as they are. */
export async function record(seconds: number, o: Recorded): Promise<void> {
  const git = (...arguments_: string[]) => execFileSync("git", arguments_, { cwd: ROOT, encoding: "utf8" }).trim();
  const changed = git("status", "--porcelain", "--", "libs", "apps", "tests/fuzz") === "" ? "" : " with changes";
  const [commit, date] = [git("rev-parse", "--short", "HEAD") + changed, new Date().toISOString().slice(0, 10)];
  const old = await readFile(FILE, "utf8").catch(() => "");
  const rows = new Map(
    [...old.matchAll(/^\| ([a-z][a-z-]*) \| (?:ok|FAILED) .*$/gm)].map(([line, target = ""]) => [target, line]),
  );
  const result = o.ok ? "ok" : "FAILED";
  const cells = [seconds, o.executions, o.kept, o.found, o.coverage, o.slowest, o.megabytes, date, commit];
  rows.set(o.target, row([o.target, result, ...cells, process.version]));
  const lines = [row(COLUMNS), row(COLUMNS.map(() => "---")), ...[...rows].sort().map(([, line]) => line)];
  await writeFile(FILE, `${HEAD}${lines.join("\n")}\n`);
}
