/** `npm run bench [-- NAME …]`: every benchmark, one after the other, and its last line of JSON into BENCH.md. */
import { spawn } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { cpus } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";

const root = path.resolve(import.meta.dirname, "..");
const ALL = ["footprint", "handshake", "memory", "reports", "rekey", "flood", "esp", "issuing", "ocsp", "revocation"];

/** The last line of a benchmark. The first row of `table` is its head. */
interface Outcome {
  readonly bench: string;
  readonly ok: boolean;
  readonly table: readonly (readonly string[])[];
  /** What a reader has to know to judge the figures; one sentence or more each. */
  readonly notes?: readonly string[];
}

async function run(name: string): Promise<{ code: number; last: string }> {
  const child = spawn(process.execPath, [path.join(root, "bench", name, "main.ts")], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let last = "";
  for await (const line of createInterface({ input: child.stdout })) {
    console.log(line);
    last = line;
  }
  const code = child.exitCode ?? (await new Promise<number>((resolve) => child.once("exit", (c) => resolve(c ?? 1))));
  return { code, last };
}

/** Replaces one benchmark's part of BENCH.md. */
async function record({ bench, table, notes = [] }: Outcome): Promise<void> {
  const file = path.join(root, "BENCH.md");
  const text = await readFile(file, "utf8");
  const [head = "", ...body] = table.map((cells) => `| ${cells.join(" | ")} |`);
  const part = [
    `## ${bench}`,
    "",
    `\`node bench/${bench}/main.ts\`, ${new Date().toISOString().slice(0, 10)}, ${cpus().length} × ${cpus()[0]?.model.trim()}`,
    "",
    head,
    `|${"---|".repeat(table[0]?.length ?? 0)}`,
    ...body,
    "",
    ...(notes.length > 0 ? [...notes.map((note) => `- ${note}`), ""] : []),
  ].join("\n");
  const old = new RegExp(`## ${bench}\\n[\\s\\S]*?(?=\\n## |$)`);
  await writeFile(file, old.test(text) ? text.replace(old, () => part) : `${text.trimEnd()}\n\n${part}`);
}

const wanted = process.argv.slice(2);
let failed = 0;
for (const name of wanted.length > 0 ? wanted : ALL) {
  const { code, last } = await run(name);
  if (last.startsWith("{")) await record(JSON.parse(last) as Outcome);
  if (code !== 0) failed++;
}
process.exitCode = failed > 0 ? 1 : 0;
