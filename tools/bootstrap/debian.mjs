import { execFile, spawn } from "node:child_process";
import { access, mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { say } from "./say.mjs";

const run = promisify(execFile);

async function installed(packages) {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: placeholders of dpkg-query
  const query = await run("dpkg-query", ["-W", "-f", "${Package} ${db:Status-Status}\n", ...packages]).catch((e) => e);
  const have = new Set(
    String(query.stdout ?? "")
      .split("\n")
      .filter((line) => line.endsWith(" installed"))
      .map((line) => line.split(" ")[0]),
  );
  return packages.filter((p) => !have.has(p));
}

function apt(args, directory = "/") {
  return new Promise((resolve, reject) => {
    const child = spawn("apt-get", ["-q", ...args], {
      cwd: directory,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    });
    let tail = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (d) => (tail = (tail + d).slice(-4000)));
    child.on("error", reject);
    child.on("exit", (code) => (code === 0 ? resolve() : reject(new Error(`apt-get ${args[0]} failed:\n${tail}`))));
  });
}

/** Debian starts a daemon as soon as its package is there; ours are started privately, so that is held off while we install. */
async function withoutStartingServices(action) {
  const policy = "/usr/sbin/policy-rc.d";
  const theirs = await access(policy).then(
    () => true,
    () => false,
  );
  if (theirs) return action();
  await writeFile(policy, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    return await action();
  } finally {
    await rm(policy, { force: true });
  }
}

/** Installs what is missing and can be installed. Resolves to the packages that stay missing; what needs them says so itself. */
export async function prepareDebian(packages) {
  if (process.platform !== "linux") {
    say(`this is ${process.platform}, not Linux: what needs Linux's network stack will be skipped`);
    return packages;
  }
  if (!(await run("dpkg-query", ["--version"]).catch(() => undefined))) {
    say(`this is no Debian system: install the equivalents of ${packages.join(" ")} yourself`);
    return [];
  }
  const missing = await installed(packages);
  if (missing.length === 0) return [];
  if (process.getuid() !== 0) {
    say(`not root, so these Debian packages stay missing: ${missing.join(" ")}`);
    return missing;
  }
  say(`installing Debian packages: ${missing.join(" ")}`);
  try {
    await apt(["update"]);
    await withoutStartingServices(() => apt(["install", "-y", "--no-install-recommends", ...missing]));
  } catch (error) {
    say(error.message);
    return installed(missing);
  }
  for (const unit of ["strongswan", "redis-server", "knot"]) {
    if (missing.some((p) => p.includes(unit.split("-")[0])))
      await run("systemctl", ["disable", unit]).catch(() => undefined);
  }
  return [];
}

/**
 * Unpacks packages below `target`, one folder each with `root` and `version`, without installing them. Resolves to those that
 * stay missing.
 */
export async function unpackDebian(packages, target) {
  const missing = [];
  for (const name of packages) {
    const place = path.join(target, name);
    if (
      await access(path.join(place, "version")).then(
        () => true,
        () => false,
      )
    )
      continue;
    try {
      await unpack(name, place);
    } catch (error) {
      say(`the Debian package ${name} stays missing: ${error.message}`);
      missing.push(name);
    }
  }
  return missing;
}

async function unpack(name, place) {
  say(`unpacking the Debian package ${name}`);
  const fresh = `${place}.${process.pid}`;
  await mkdir(fresh, { recursive: true });
  try {
    // The lists of packages may be old or absent.
    await apt(["download", name], fresh).catch(() => apt(["update"]).then(() => apt(["download", name], fresh)));
    const file = (await readdir(fresh)).find((entry) => entry.endsWith(".deb"));
    if (!file) throw new Error("apt-get downloaded nothing");
    const archive = path.join(fresh, file);
    await run("dpkg-deb", ["-x", archive, path.join(fresh, "root")]);
    const { stdout } = await run("dpkg-deb", ["-f", archive, "Version"]);
    await rm(archive);
    await writeFile(path.join(fresh, "version"), stdout);
    await rm(place, { recursive: true, force: true });
    await rename(fresh, place);
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
}
