import { execFile } from "node:child_process";
import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { fault } from "../faults.js";

const run = promisify(execFile);

/** As whom the server's processes run. PostgreSQL refuses to run as root. */
export interface PostgresUser {
  readonly uid: number;
  readonly gid: number;
}

async function lookUp(name: string): Promise<PostgresUser | undefined> {
  const line = (await readFile("/etc/passwd", "utf8")).split("\n").find((l) => l.startsWith(`${name}:`));
  const [, , uid, gid] = line?.split(":") ?? [];
  return uid === undefined || gid === undefined ? undefined : { uid: Number(uid), gid: Number(gid) };
}

/** Undefined when this process is not root's: then the server runs as we do. Makes the system user `postgres` when there is none. */
export async function postgresUser(): Promise<PostgresUser | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const found = await lookUp("postgres");
  if (found) return found;
  try {
    await run("useradd", ["--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", "postgres"]);
  } catch (cause) {
    throw fault("platform/embedded-database", "PostgreSQL does not run as root, and no user could be made for it", {
      expected: "a system user named postgres, or DATABASE_URL",
      cause,
    });
  }
  const made = await lookUp("postgres");
  if (!made) throw fault("platform/embedded-database", "the user postgres was made but cannot be found");
  return made;
}

/** Whether `user` may pass through every folder above `file`. */
export async function canReach(user: PostgresUser, file: string): Promise<boolean> {
  for (let at = path.dirname(path.resolve(file)); ; at = path.dirname(at)) {
    const s = await stat(at);
    const shift = s.uid === user.uid ? 6 : s.gid === user.gid ? 3 : 0;
    if (((s.mode >> shift) & 1) === 0) return false;
    if (at === path.dirname(at)) return true;
  }
}

/**
 * The command that runs `file` as `user`. Where a folder above is closed to that user (a checkout under /root), the process keeps
 * the one capability that opens it.
 */
export async function commandAs(
  user: PostgresUser | undefined,
  file: string,
  args: readonly string[],
  paths: readonly string[],
): Promise<{ command: string; args: string[]; uid?: number; gid?: number }> {
  if (!user) return { command: file, args: [...args] };
  const open = (await Promise.all([file, ...paths].map((p) => canReach(user, p)))).every(Boolean);
  if (open) return { command: file, args: [...args], ...user };
  const caps = "+dac_override";
  return {
    command: "setpriv",
    args: [
      `--reuid=${user.uid}`,
      `--regid=${user.gid}`,
      "--clear-groups",
      `--inh-caps=${caps}`,
      `--ambient-caps=${caps}`,
      "--",
      file,
      ...args,
    ],
  };
}
