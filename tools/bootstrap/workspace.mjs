import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { say } from "./say.mjs";

function finish(child, what) {
  return new Promise((resolve, reject) => {
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (d) => {
        if (output.length < 8000) output += d;
      });
    }
    child.on("error", reject);
    child.on("exit", (code) =>
      code === 0 ? resolve() : reject(new Error(`${what} failed (exit ${code}):\n${output}`)),
    );
  });
}

/** Installs the npm packages of package-lock.json unless the last install was of the very same lock file. */
export async function installNpm(root) {
  const lock = createHash("sha256")
    .update(await readFile(path.join(root, "package-lock.json")))
    .digest("hex");
  const stamp = path.join(root, "node_modules/.installed-lock");
  if ((await readFile(stamp, "utf8").catch(() => "")) === lock) return;
  say("installing npm packages (a minute on the first run)");
  // Not `npm ci`: it refuses a lock file that lacks another platform's optional binaries. --no-save leaves the lock file as it is.
  const child = spawn("npm", ["install", "--no-save", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
    // Prisma's engines are not used (the client runs without them) and their download would fail behind a closed network.
    env: { ...process.env, PRISMA_SKIP_POSTINSTALL_GENERATE: "1", PRISMA_ENGINES_CHECKSUM_IGNORE_MISSING: "1" },
  });
  await finish(child, "npm install");
  await writeFile(stamp, lock);
}

/** Runs one of our own set-up scripts under the pinned Node and shows its output only when it fails. */
export async function runNode(root, args) {
  const child = spawn(path.join(root, "node_modules/.bin/node"), args, {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
  });
  try {
    await finish(child, args.join(" "));
  } catch (error) {
    console.error(error.message);
    process.exit(1);
  }
}
