// Compiles native/*.c to build/linux_io-<arch>.node with plain cc. The binary uses Node-API only, so one build serves every Node.
import { execFile } from "node:child_process";
import { mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const native = path.join(import.meta.dirname, "native");
export const addonFile = path.join(import.meta.dirname, "build", `linux_io-${process.arch}.node`);

const FLAGS = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror=implicit-function-declaration", "-fPIC", "-shared"];

const modified = (file) =>
  stat(file).then(
    (found) => found.mtimeMs,
    () => 0,
  );

/**
 * Builds the add-on when it is missing or older than a source file. Resolves to whether it was built.
 * Rejects with a one-line message when there is no C compiler or it refuses the sources.
 */
export async function buildAddon({ compiler = process.env.CC || "cc", force = false } = {}) {
  const names = await readdir(native);
  const newest = Math.max(...(await Promise.all(names.map((name) => modified(path.join(native, name))))));
  if (!force && (await modified(addonFile)) > newest) return false;
  const headers = createRequire(import.meta.url)("node-api-headers").include_dir;
  const sources = names.filter((name) => name.endsWith(".c")).map((name) => path.join(native, name));
  // Written apart and renamed: a process that has the old file mapped keeps it, and one that loads it never sees half of it.
  const fresh = `${addonFile}.${process.pid}`;
  await mkdir(path.dirname(addonFile), { recursive: true });
  try {
    await run(compiler, [...FLAGS, "-I", headers, "-o", fresh, ...sources]);
    await rename(fresh, addonFile);
  } catch (cause) {
    await rm(fresh, { force: true });
    if (cause.code === "ENOENT") {
      const message = `no C compiler: "${compiler}" is not there. On Debian: apt-get install gcc libc6-dev`;
      throw new Error(message, { cause });
    }
    const firstError = /^.*error:.*$/m.exec(String(cause.stderr))?.[0] ?? cause.message;
    const missing = /\.h: No such file/.test(firstError) ? " (on Debian: apt-get install libc6-dev)" : "";
    throw new Error(`the linux-io add-on does not compile: ${firstError}${missing}`, { cause });
  }
  return true;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    const built = await buildAddon({ force: process.argv.includes("--force") });
    console.log(`linux-io: ${path.relative(process.cwd(), addonFile)} ${built ? "built" : "is up to date"}`);
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
