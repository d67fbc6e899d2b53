import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import { runInUml } from "@sallyport/testkit";

const run = promisify(execFile);
const PROBE = "sallyport-probe";
const GUEST_LIMIT_MS = 24 * 3_600_000;
const CHECK_LIMIT_MS = 300_000;

/** Whether this kernel takes an ESP SA: many development machines' kernels have IPsec policies but no ESP. */
export async function hasEsp(): Promise<boolean> {
  await run("ip", ["netns", "add", PROBE]);
  try {
    const sa = "src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x100 mode tunnel";
    const key = `0x${"00".repeat(20)}`;
    await run("ip", ["-n", PROBE, "xfrm", "state", "add", ...sa.split(" "), "aead", "rfc4106(gcm(aes))", key, "128"]);
    return true;
  } catch {
    return false;
  } finally {
    await run("ip", ["netns", "del", PROBE]);
  }
}

/** PostgreSQL does not run as root, and a guest cannot make users: it sees this machine's files read-only. */
async function ensurePostgresUser(): Promise<void> {
  const exists = await run("getent", ["passwd", "postgres"]).then(
    () => true,
    () => false,
  );
  if (!exists)
    await run("useradd", ["--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", "postgres"]);
}

/** Runs the whole demo under User Mode Linux and hands its output on. Resolves to its exit status. */
export async function runInGuest(args: readonly string[], check: boolean, signal: AbortSignal): Promise<number> {
  await ensurePostgresUser();
  const root = path.resolve(import.meta.dirname, "../..");
  const result = await runInUml([process.execPath, path.join(import.meta.dirname, "main.ts"), "--guest", ...args], {
    // What is written stays in the guest's memory and goes with it.
    writable: [],
    directory: root,
    environment: { PATH: process.env.PATH ?? "", ...setupStarted() },
    timeoutMs: check ? CHECK_LIMIT_MS : GUEST_LIMIT_MS,
    memory: "3G",
    signal,
    onOutput: (text) => process.stdout.write(text),
  });
  if (signal.aborted) return 1;
  if (result.status === 124) throw new Error(`the guest kernel was not done after ${CHECK_LIMIT_MS / 1000} s`);
  if (result.status === 125)
    throw new Error(`the guest kernel died; its console ends:\n${result.console.slice(-2000)}`);
  return result.status;
}

function setupStarted(): Record<string, string> {
  const at = process.env.SALLYPORT_SETUP_STARTED_AT;
  return at === undefined ? {} : { SALLYPORT_SETUP_STARTED_AT: at };
}
