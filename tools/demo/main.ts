// `npm run demo`: a whole fleet on one machine, in network namespaces, driven through the public GraphQL API.
import { cp, mkdir, rm } from "node:fs/promises";
import { createServer } from "node:net";
import path from "node:path";
import { claim, release } from "./claim.ts";
import { Fleet } from "./fleet.ts";
import { hasEsp, runInGuest } from "./kernel.ts";
import { Narrator } from "./narrator.ts";
import { type DemoOptions, readOptions, USAGE } from "./options.ts";
import { complaint, type Outcome, tell } from "./story.ts";
import { HEADQUARTERS, NS, PARTNER } from "./world.ts";

const root = path.resolve(import.meta.dirname, "../..");
const say = new Narrator();
/** Only a run that failed leaves this, until the next one. */
const LOGS = ".sallyport/demo-logs";
const startedAt = Number(process.env.SALLYPORT_SETUP_STARTED_AT ?? Date.now());

/** Aborts at Ctrl-C or SIGTERM; a second Ctrl-C does not cut the take-down short. */
const interrupted = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => interrupted.abort());
const interruption = new Promise<never>((_, reject) =>
  interrupted.signal.addEventListener("abort", () => reject(new Error("interrupted"))),
);
interruption.catch(() => undefined);

function obstacle(): string | undefined {
  if (process.platform !== "linux") return "the demo needs Linux: it is made of network namespaces";
  if (process.getuid?.() !== 0) return "the demo needs root: it makes network namespaces and TUN devices";
  const missing = process.env.SALLYPORT_MISSING;
  return missing ? `these Debian packages are missing and could not be installed: ${missing}` : undefined;
}

/** The port that is wanted, or any when somebody has it. */
function freePort(wanted: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", () => (wanted === 0 ? reject(new Error("no free port")) : resolve(freePort(0))));
    server.listen(wanted, "0.0.0.0", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : wanted));
    });
  });
}

async function keepLogs(fleet: Fleet, guest: boolean): Promise<string> {
  const folder = guest ? "/tmp/sallyport-demo-logs" : path.join(root, LOGS);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  for (const file of fleet.logFiles) {
    const name = `${path.basename(path.dirname(file))}-${path.basename(file)}`;
    await cp(file, path.join(folder, name)).catch(() => undefined);
  }
  return folder;
}

/** An error with its causes: `the API …: it says …`. */
function inWords(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}: ${inWords(error.cause)}`;
}

async function untilInterrupted(guest: boolean): Promise<void> {
  say.line();
  if (guest) {
    say.line(`  ${say.bold("Everything is up")} inside the guest kernel, which this machine's network does not reach.`);
  } else {
    say.line(`  ${say.bold("Everything is up.")} Try it:`);
    say.line(`      ip netns exec ${NS.branchHost} ping ${HEADQUARTERS.host}`);
    say.line(`      ip netns exec ${NS.headquartersHost} ping ${PARTNER.host}`);
  }
  say.line();
  say.line(`  ${say.bold("Ctrl-C")} takes everything down and leaves nothing behind.`);
  await interruption.catch(() => undefined);
}

async function run(options: DemoOptions): Promise<Outcome> {
  const home = options.guest ? "/tmp/sallyport-demo" : path.join(root, ".sallyport/demo");
  const fleet = new Fleet({
    home,
    dataPlane: options.dataPlane,
    port: await freePort(8420),
    agentsPort: await freePort(8421),
  });
  await claim(home);
  if (!options.guest) await rm(path.join(root, LOGS), { recursive: true, force: true });
  try {
    const outcome = await Promise.race([tell(fleet, say, startedAt), interruption]);
    const wrong = complaint(outcome);
    if (wrong) throw new Error(wrong);
    if (!options.check) await untilInterrupted(options.guest);
    return outcome;
  } catch (error) {
    if (interrupted.signal.aborted) throw error;
    const logs = await keepLogs(fleet, options.guest);
    throw new Error(`${inWords(error)}\n  The logs are in ${logs}`, { cause: error });
  } finally {
    const failed = await say.step("Everything taken down", () => fleet.close());
    for (const what of failed) say.line(`      ${say.red("left behind")}  ${what}`);
    await release();
    if (failed.length > 0) process.exitCode = 1;
  }
}

function verdict(options: DemoOptions, result: Outcome | Error): void {
  if (!options.check) return;
  const line =
    result instanceof Error
      ? { ok: false, dataPlane: options.dataPlane, failed: result.message.split("\n")[0] }
      : { ok: true, dataPlane: options.dataPlane, ...result };
  console.log(JSON.stringify(line));
}

async function main(): Promise<number> {
  let options: DemoOptions | "help";
  try {
    options = readOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n\n${USAGE}`);
    return 64;
  }
  if (options === "help") {
    console.log(USAGE);
    return 0;
  }
  try {
    const why = obstacle();
    if (why) throw new Error(why);
    const inGuest = options.dataPlane === "kernel" && !options.guest && !(await hasEsp());
    if (!options.guest) {
      const kernel = inGuest ? "the kernel of a User Mode Linux guest, this machine's has none" : "the kernel";
      const where = options.dataPlane === "kernel" ? kernel : "userspace";
      say.title("Sallyport", `a branch office comes online · ESP in ${where}`);
    }
    if (inGuest) {
      const status = await runInGuest(process.argv.slice(2), options.check, interrupted.signal);
      if (interrupted.signal.aborted) throw new Error("interrupted");
      return status;
    }
    verdict(options, await run(options));
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (interrupted.signal.aborted && !options.check) return 0;
    const problem = error instanceof Error ? error : new Error(String(error));
    say.line();
    say.line(`  ${say.red("It did not work:")} ${problem.message}`);
    if (process.env.SALLYPORT_DEBUG) console.error(problem);
    verdict(options, problem);
    return 1;
  }
}

process.exit(await main());
