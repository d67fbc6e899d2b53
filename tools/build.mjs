// Compiles every workspace's src/ to dist/ with SWC. Types are checked apart (npm run typecheck); only files that changed are written again.
import { mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { transform } from "@swc/core";

const root = path.resolve(import.meta.dirname, "..");
const options = JSON.parse(await readFile(path.join(root, ".swcrc.json"), "utf8"));

async function workspaces() {
  const found = [];
  for (const group of ["libs", "apps"]) {
    for (const entry of await readdir(path.join(root, group), { withFileTypes: true })) {
      if (entry.isDirectory()) found.push(path.join(root, group, entry.name));
    }
  }
  return found;
}

const isSource = (name) => name.endsWith(".ts") && !name.endsWith(".d.ts") && !name.endsWith(".spec.ts");
const mtime = (file) =>
  stat(file).then(
    (s) => s.mtimeMs,
    () => 0,
  );

async function compile(source, target) {
  if ((await mtime(target)) >= (await mtime(source))) return 0;
  const { code, map } = await transform(await readFile(source, "utf8"), {
    ...options,
    filename: source,
    sourceFileName: path.relative(path.dirname(target), source),
    swcrc: false,
  });
  await mkdir(path.dirname(target), { recursive: true });
  await writeFile(`${target}.map`, map);
  await writeFile(target, `${code}\n//# sourceMappingURL=${path.basename(target)}.map\n`);
  return 1;
}

async function build(workspace) {
  const src = path.join(workspace, "src");
  const dist = path.join(workspace, "dist");
  const names = (await readdir(src, { recursive: true }).catch(() => [])).filter(isSource);
  const wanted = new Set(names.flatMap((n) => [n.replace(/\.ts$/, ".js"), n.replace(/\.ts$/, ".js.map")]));
  for (const old of await readdir(dist, { recursive: true, withFileTypes: true }).catch(() => [])) {
    const name = path.relative(dist, path.join(old.parentPath, old.name));
    if (old.isFile() && !wanted.has(name)) await rm(path.join(dist, name));
  }
  const written = await Promise.all(
    names.map((n) => compile(path.join(src, n), path.join(dist, n.replace(/\.ts$/, ".js")))),
  );
  return written.reduce((a, b) => a + b, 0);
}

const started = performance.now();
let written = 0;
for (const workspace of await workspaces()) written += await build(workspace);
console.log(`build: ${written} files compiled in ${Math.round(performance.now() - started)} ms`);
