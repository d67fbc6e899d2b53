import { mkdir, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { transform } from "@swc/core";

const ROOT = path.resolve(import.meta.dirname, "../..");
/** Where everything that fuzzing makes lies; nothing of it is committed. */
export const WORK = path.join(ROOT, ".sallyport/fuzz");
const BUILD = path.join(WORK, "build");
/** What the targets reach; the decoders of both programs are compiled beside the libraries. */
const SOURCES = [
  ...["base", "dataplane", "dns", "ike", "esp", "pki", "intent", "contract", "testkit", "userspace"].map(
    (n) => `libs/${n}/src`,
  ),
  "apps/agent/src",
  "apps/control-plane/src/features/agents",
  "apps/control-plane/src/platform/foreign-text.ts",
  "tests/fuzz/targets",
];

const modified = (file: string) =>
  stat(file).then(
    (s) => s.mtimeMs,
    () => 0,
  );

/** The fuzzer hooks `require`, so that what it watches has to be CommonJS. */
async function compile(source: string, target: string): Promise<void> {
  if ((await modified(target)) >= (await modified(source))) return;
  const { code } = await transform(await readFile(source, "utf8"), {
    filename: source,
    swcrc: false,
    jsc: {
      target: "es2024",
      parser: { syntax: "typescript", decorators: true },
      transform: { legacyDecorator: true, decoratorMetadata: true },
    },
    module: { type: "commonjs", importInterop: "node" },
    sourceMaps: "inline",
  });
  await mkdir(path.dirname(target), { recursive: true });
  await writeFile(target, code.replaceAll(/require\("(\.[^"]*)\.ts"\)/g, 'require("$1.js")'));
}

/** The source files of a folder, or the one that is named. */
async function filesOf(source: string): Promise<string[]> {
  if (source.endsWith(".ts")) return [source];
  const names = await readdir(path.join(ROOT, source), { recursive: true });
  return names
    .filter((n) => n.endsWith(".ts") && !n.endsWith(".d.ts") && !n.endsWith(".spec.ts"))
    .map((n) => path.join(source, n));
}

/** Compiles all that targets need and gives the folder of the compiled targets. */
export async function build(): Promise<string> {
  await mkdir(BUILD, { recursive: true });
  await writeFile(path.join(BUILD, "package.json"), '{ "type": "commonjs" }\n');
  for (const source of SOURCES) {
    await Promise.all(
      (await filesOf(source)).map((file) =>
        compile(path.join(ROOT, file), path.join(BUILD, file.replace(/\.ts$/, ".js"))),
      ),
    );
  }
  const scope = path.join(BUILD, "node_modules/@sallyport");
  await rm(scope, { recursive: true, force: true });
  for (const folder of SOURCES.filter((f) => f.startsWith("libs/"))) {
    const name = folder.split("/")[1] as string;
    await writeFile(path.join(BUILD, "libs", name, "package.json"), '{ "main": "src/index.js" }\n');
    await mkdir(scope, { recursive: true });
    await symlink(path.join(BUILD, "libs", name), path.join(scope, name));
  }
  return path.join(BUILD, "tests/fuzz/targets");
}
