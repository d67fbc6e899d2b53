// Fails when a document names a path of this repository that does not exist, an ADR is missing from the list, or docs/hostile-input.md
// names a guard or a test that is not there.
import { access, readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { faults } from "../tests/guards/page.ts";

const root = path.resolve(import.meta.dirname, "..");
const TOP = new Set(["apps", "libs", "prisma", "deploy", "helm", "tests", "bench", "docs", "tools", ".ci"]);

async function documents() {
  const names = await readdir(path.join(root, "docs"), { recursive: true });
  return [
    ...["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "BENCH.md"],
    ...names.filter((n) => n.endsWith(".md")).map((n) => path.join("docs", n)),
  ];
}

const exists = (file) =>
  access(file).then(
    () => true,
    () => false,
  );

/** Paths in backquotes that start with one of our top folders, and targets of relative links. */
function paths(text, document) {
  const quoted = [...text.matchAll(/`([\w.@-]+(?:\/[\w.@-]+)+\/?)`/g)]
    .map((m) => m[1])
    .filter((p) => TOP.has(p.split("/")[0]));
  const linked = [...text.matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)].map((m) =>
    path.join(path.dirname(document), m[1]),
  );
  return [...quoted, ...linked];
}

const gone = [];
for (const document of await documents()) {
  const text = await readFile(path.join(root, document), "utf8");
  for (const name of paths(text, document)) {
    if (!(await exists(path.join(root, name)))) gone.push(`${document}: ${name} does not exist`);
  }
}
const list = await readFile(path.join(root, "docs/adr/README.md"), "utf8");
for (const name of await readdir(path.join(root, "docs/adr"))) {
  if (/^\d{4}-/.test(name) && !list.includes(`(${name})`)) gone.push(`docs/adr/README.md: ${name} is not listed`);
}
if (!(await readFile(path.join(root, "docs/demo.svg"), "utf8")).includes("<text"))
  gone.push("docs/demo.svg shows nothing");
gone.push(...(await faults()));
for (const line of gone) console.error(line);
process.exit(gone.length > 0 ? 1 : 0);
