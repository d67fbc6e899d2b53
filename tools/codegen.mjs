// Generates what is not committed: the contract's messages (buf) and the Prisma client. Skips what is up to date.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { access, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";

const root = path.resolve(import.meta.dirname, "..");
const bin = path.join(root, "node_modules", ".bin");
const stamps = path.join(root, "node_modules", ".cache", "sallyport-codegen");
const run = promisify(execFile);

const exists = (file) =>
  access(file).then(
    () => true,
    () => false,
  );

async function filesUnder(dir, suffix) {
  const names = await readdir(dir, { recursive: true }).catch(() => []);
  return names.filter((n) => n.endsWith(suffix)).map((n) => path.join(dir, n));
}

/** Where the schema's generator block says that the client goes. */
async function prismaOutput(schema) {
  const [, output] = /generator\s+\w+\s*{[^}]*\boutput\s*=\s*"([^"]+)"/.exec(await readFile(schema, "utf8")) ?? [];
  if (output === undefined) throw new Error(`${path.relative(root, schema)}: its generator names no output`);
  return path.resolve(path.dirname(schema), output);
}

async function contract() {
  const dir = path.join(root, "libs", "contract");
  return {
    name: "contract",
    inputs: [
      ...(await filesUnder(path.join(dir, "proto"), ".proto")),
      path.join(dir, "buf.yaml"),
      path.join(dir, "buf.gen.yaml"),
      path.join(root, "node_modules", "@bufbuild", "protoc-gen-es", "package.json"),
    ],
    output: path.join(dir, "src", "generated"),
    command: ["buf", ["generate"], { cwd: dir }],
  };
}

async function prisma() {
  const dir = path.join(root, "prisma");
  const schemas = await filesUnder(dir, ".prisma");
  if (schemas.length === 0) return undefined;
  const main = path.join(dir, "schema.prisma");
  return {
    name: "prisma",
    inputs: [...schemas, path.join(root, "node_modules", "prisma", "package.json")],
    output: await prismaOutput(main),
    // `generate` needs no schema engine, but looks for one to download unless it is told of a binary.
    command: [
      "prisma",
      ["generate", "--schema", main],
      { cwd: root, env: { PRISMA_SCHEMA_ENGINE_BINARY: "/bin/true", PRISMA_HIDE_UPDATE_MESSAGE: "1" } },
    ],
  };
}

async function generate(target) {
  const hash = createHash("sha256");
  for (const file of target.inputs.toSorted())
    hash
      .update(file)
      .update("\0")
      .update(await readFile(file));
  const digest = hash.digest("hex");
  const stamp = path.join(stamps, target.name);
  const done = await readFile(stamp, "utf8").catch(() => "");
  if (done === digest && (await exists(target.output))) return `${target.name} up to date`;
  const [tool, args, { cwd, env = {} }] = target.command;
  await run(path.join(bin, tool), args, {
    cwd,
    env: { ...process.env, ...env, PATH: `${bin}${path.delimiter}${process.env.PATH}` },
  }).catch((error) => {
    throw new Error(`${tool} ${args.join(" ")} failed:\n${error.stdout}${error.stderr}`);
  });
  await mkdir(stamps, { recursive: true });
  await writeFile(stamp, digest);
  return `${target.name} generated`;
}

const started = performance.now();
const targets = (await Promise.all([contract(), prisma()])).filter((t) => t !== undefined);
const said = await Promise.all(targets.map(generate));
console.log(`codegen: ${said.join(", ")} in ${Math.round(performance.now() - started)} ms`);
