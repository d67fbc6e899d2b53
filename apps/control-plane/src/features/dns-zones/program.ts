import { spawn } from "node:child_process";
import path from "node:path";
import type { TextChange } from "@sallyport/dns";
import { foreignText } from "../../platform/foreign-text.js";
import type { Log } from "../../platform/log/log.js";
import { fault } from "./faults.js";

/** No way out of the folder: no slash, and no dot at the beginning. */
export const PROGRAM_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const TIMEOUT_MS = 60_000;
/** Characters of what a program prints that are kept, for the log. */
const MAX_OUTPUT = 2_048;
/** Nothing of ours: our own environment holds the master key. */
const ENVIRONMENT = { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", LANG: "C.UTF-8" };

export interface Programs {
  /** Where they are; undefined: nowhere. */
  readonly folder: string | undefined;
  readonly log: Log;
  readonly timeoutMs?: number;
}

/**
 * Has a program of the installation's change a zone: `PROGRAM add|remove ZONE NAME TEXT`, without a shell. What it prints goes to the
 * log and nowhere else.
 * @throws dns/no-such-program, dns/program-failed
 */
export async function runProgram(
  { folder, log, timeoutMs = TIMEOUT_MS }: Programs,
  program: string,
  zone: string,
  { change, name, text }: TextChange,
): Promise<void> {
  if (folder === undefined || !PROGRAM_NAME.test(program)) {
    throw fault("dns/no-such-program", `there is no program ${program}`, {
      value: program,
      expected: "a file in the folder that SALLYPORT_DNS_PROGRAMS names",
    });
  }
  const ended = await run(path.join(folder, program), [change, zone, name, text], timeoutMs);
  const printed = foreignText(ended.output, MAX_OUTPUT);
  log[ended.why === undefined ? "debug" : "warn"](
    { program, change, name, why: ended.why, printed },
    ended.why === undefined ? "a program changed a zone" : "a program did not change a zone",
  );
  if (ended.why === undefined) return;
  if (ended.missing) throw fault("dns/no-such-program", `${program} cannot be run: ${ended.why}`, { value: program });
  throw fault("dns/program-failed", `${program} ${change}: ${ended.why}`, { value: program, expected: "exit code 0" });
}

interface Ended {
  /** What went wrong. */
  readonly why: string | undefined;
  /** It could not be begun. */
  readonly missing: boolean;
  readonly output: string;
}

function run(file: string, args: readonly string[], timeoutMs: number): Promise<Ended> {
  return new Promise((resolve) => {
    // In a group of its own, so that what it has begun ends with it.
    const child = spawn(file, args, { cwd: "/", env: ENVIRONMENT, stdio: ["ignore", "pipe", "pipe"], detached: true });
    let output = "";
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    }, timeoutMs);
    const end = (why: string | undefined, missing = false) => {
      clearTimeout(timer);
      child.stdout.destroy();
      child.stderr.destroy();
      resolve({ why, missing, output });
    };
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (chunk: string) => {
        output += chunk.slice(0, MAX_OUTPUT - output.length);
      });
    }
    child.on("error", (error: NodeJS.ErrnoException) => end(error.code ?? "it cannot be begun", true));
    child.on("exit", (code, signal) => {
      if (late) end(`it did not end within ${timeoutMs / 1000} s`);
      else if (code === 0) end(undefined);
      else end(code === null ? `it was ended by ${signal}` : `exit code ${code}`);
    });
  });
}
