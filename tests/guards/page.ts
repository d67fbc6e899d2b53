import { readFile } from "node:fs/promises";
import path from "node:path";
import { CLASSES } from "./classes/index.ts";
import { GROWTH } from "./growth.ts";
import type { Guard, HostileClass } from "./guard.ts";

export const ROOT = path.resolve(import.meta.dirname, "../..");
export const PAGE = path.join(ROOT, "docs/hostile-input.md");

const cell = (text: string) => text.replaceAll("|", "\\|");

function row(about: HostileClass, { against, file, test: [spec, title] }: Guard): string {
  return `| ${about.number} | ${cell(against)} | \`${file}\` | \`${spec}\` › ${cell(title)} |`;
}

function section({ number, about, cves, note }: HostileClass): string {
  const known = cves.length > 0 ? ` (${cves.map((cve) => `CVE-${cve}`).join(", ")})` : "";
  return `${number}. ${about}${known}.${note ? ` ${note}` : ""}`;
}

export function render(): string {
  return `# Hostile input

Kinds of input that IKE daemons have fallen to in the field, what stands between each and this gateway, and the test that shows it. This
page is written by \`node tests/guards/main.ts --write\` from \`tests/guards/classes\`, where every guard is kept with the very words of the code. Two
checks of \`npm test\` keep it true: \`docs\` fails when a guard or a test named here is gone, and \`guards\` takes away one guard after the other and fails
unless its test does:

\`\`\`
node tests/guards/main.ts          # all of them
node tests/guards/main.ts 6 10     # those of some classes
\`\`\`

Fuzzing (\`docs/fuzzing.md\`) reaches all that is decoded here, in the clear and behind encryption; \`tests/chaos\` has the floods.

## The kinds

${CLASSES.map(section).join("\n")}

## The guards

| kind | against | guard | test that fails without it |
|---|---|---|---|
${CLASSES.flatMap((about) => about.guards.map((guard) => row(about, guard))).join("\n")}

## What could grow

| what | where | bound |
|---|---|---|
${GROWTH.map(([what, file, bound]) => `| ${cell(what)} | \`${file}\` | ${cell(bound)} |`).join("\n")}
`;
}

/** What is wrong with the page and what it rests on; nothing when it is right. */
export async function faults(): Promise<string[]> {
  const out: string[] = [];
  const read = (file: string) => readFile(path.join(ROOT, file), "utf8").catch(() => undefined);
  for (const { number, guards, note } of CLASSES) {
    if (guards.length === 0 && !note) out.push(`kind ${number}: neither a guard nor a reason`);
    for (const {
      file,
      text,
      times = 1,
      test: [spec, title],
    } of guards) {
      const [source, tests] = await Promise.all([read(file), read(spec)]);
      const found = source === undefined ? 0 : source.split(text).length - 1;
      if (found !== times) out.push(`kind ${number}: ${file} holds ${found} times: ${text}`);
      if (!tests?.includes(`"${title}"`)) out.push(`kind ${number}: ${spec} has no test: ${title}`);
    }
  }
  const written = await readFile(PAGE, "utf8").catch(() => "");
  if (written !== render()) out.push("docs/hostile-input.md is not what tests/guards/classes says: write it anew");
  return out;
}
