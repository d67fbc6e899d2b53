import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { isFault } from "@sallyport/base";
import { parseIntent } from "@sallyport/intent";
import { Command, InvalidArgumentError, Option } from "commander";
import type { DataPlaneChoice } from "./daemon/carrier.js";
import { ask } from "./daemon/control-socket.js";
import { controlSocketPath, Daemon } from "./daemon/daemon.js";
import { FileWatch } from "./daemon/file-watch.js";
import { harmless } from "./daemon/harmless.js";
import { Session } from "./daemon/session.js";
import { fault } from "./faults.js";
import { EnrolmentStore, IntentStore } from "./store/index.js";

const DEFAULT_STATE = "/var/lib/sallyport-agent";
const { version } = JSON.parse(readFileSync(path.join(import.meta.dirname, "../package.json"), "utf8"));

interface StateOption {
  readonly state: string;
}
interface RunOptions extends StateOption {
  readonly dataPlane: DataPlaneChoice;
  readonly tun: string;
  readonly logLevel: string;
  readonly resolverHook?: string;
  readonly intent?: string;
  readonly key: readonly string[];
  readonly certificate: readonly string[];
}

interface EnrolOptions extends RunOptions {
  readonly token: string;
  readonly force?: boolean;
  readonly run?: boolean;
}

const stateOption = () =>
  new Option("--state <dir>", "where keys, certificates and the last good intent are kept")
    .default(DEFAULT_STATE)
    .env("SALLYPORT_STATE");
const dataPlaneOption = () =>
  new Option("--data-plane <name>", "what carries packets")
    .choices(["auto", "kernel", "userspace"])
    .default("auto")
    .env("SALLYPORT_DATA_PLANE");

const tunOption = () => new Option("--tun <name>", "TUN device of the userspace data plane").default("sallyport%d");
const logLevelOption = () =>
  new Option("--log-level <level>", "how much is logged")
    .choices(["trace", "debug", "info", "warn", "error"])
    .default("info");

const resolverHookOption = () =>
  new Option("--resolver-hook <program>", "is told of name servers that peers give, as JSON").env(
    "SALLYPORT_RESOLVER_HOOK",
  );

/** Collects an option that may be repeated. */
const eachOf = (value: string, before: readonly string[]) => [...before, value];

/** Resolves at a signal: SIGTERM keeps what the kernel carries (restart, upgrade), SIGINT takes everything down. */
function untilSignal(): Promise<{ keep: boolean }> {
  return new Promise((resolve) => {
    process.once("SIGTERM", () => resolve({ keep: true }));
    process.once("SIGINT", () => resolve({ keep: false }));
  });
}

const program = new Command("sallyport-agent")
  .description("The gateway's agent: enrols with a control plane, runs IKE, programs the data plane.")
  .version(version);

program
  .command("run")
  .description("run the gateway")
  .addOption(stateOption())
  .addOption(dataPlaneOption())
  .addOption(tunOption())
  .addOption(logLevelOption())
  .addOption(resolverHookOption())
  .option("--intent <file>", "run this intent, without a control plane")
  .option("--key <file>", "with --intent: the gateway's private key, PEM; may be repeated", eachOf, [])
  .option("--certificate <file>", "with --intent: its certificate and intermediates, PEM; one a key", eachOf, [])
  .action(run);

/** One agent process, until a signal. */
async function run(options: RunOptions): Promise<void> {
  const daemon = new Daemon({
    stateDir: options.state,
    dataPlane: options.dataPlane,
    tunName: options.tun,
    logLevel: options.logLevel,
    resolverHook: options.resolverHook,
  });
  // A defect must not leave half an agent: the service manager starts another one, which takes over what the kernel carries.
  process.on("uncaughtException", (err) => {
    daemon.log.fatal({ err }, "the agent ends: a defect");
    process.stdout.write("", () => process.exit(70));
  });
  const ended = untilSignal();
  const stop =
    options.intent === undefined ? await runEnrolled(daemon) : await runIntent(daemon, options.intent, options);
  const { keep } = await ended;
  await stop();
  await daemon.close({ keep });
}

async function runEnrolled(daemon: Daemon): Promise<() => Promise<void>> {
  const { stateDir } = daemon.options;
  const store = new EnrolmentStore(stateDir);
  const enrolment = await store.load();
  if (!enrolment) {
    throw fault("agent/not-enrolled", `no enrolment in ${stateDir}`, {
      field: "state",
      value: stateDir,
      expected: "`sallyport-agent enrol --run --token …` first",
    });
  }
  const { intent } = await new IntentStore(stateDir).load();
  await daemon.open(intent, enrolment.identities);
  const session = new Session({ daemon, enrolment, store, agentVersion: version });
  daemon.connected = () => session.connected;
  await session.start();
  return () => session.stop();
}

/**
 * Without a control plane: one intent from a file, with the identities that `--key` and `--certificate` name, of which the first is
 * the usual one. The files are read again when they change and at SIGHUP; what cannot be taken over leaves everything as it is.
 */
async function runIntent(daemon: Daemon, file: string, { key, certificate }: RunOptions): Promise<() => Promise<void>> {
  if (key.length !== certificate.length) {
    throw fault("agent/bad-option", "as many --key as --certificate are wanted", {
      field: "certificate",
      value: String(certificate.length),
      expected: String(key.length),
    });
  }
  const read = async () => ({
    intent: parseIntent(await readFile(file, "utf8")),
    identities: await Promise.all(
      key.map(async (name, i) => ({
        privateKey: await readFile(name, "utf8"),
        certificates: await readFile(certificate[i] as string, "utf8"),
      })),
    ),
  });
  let current = await read();
  await daemon.open(current.intent, current.identities);
  await daemon.apply(current.intent);
  const watch = new FileWatch([file, ...key, ...certificate], async () => {
    try {
      const next = await read();
      await daemon.change(next.intent, next.identities, current.identities);
      current = next;
      daemon.log.info({ revision: next.intent.revision }, "took over changed files");
    } catch (err) {
      daemon.log.error({ err }, "changed files cannot be taken over: everything stays as it was");
    }
  });
  await watch.start();
  const hangUp = () => void watch.report();
  process.on("SIGHUP", hangUp);
  return async () => {
    process.off("SIGHUP", hangUp);
    watch.close();
  };
}

program
  .command("enrol")
  .description("make this machine the gateway that a token names")
  .addOption(
    new Option("--token <token>", "the one-time token from the control plane")
      .env("SALLYPORT_TOKEN")
      .makeOptionMandatory(),
  )
  .addOption(stateOption())
  .option("--force", "take the place of an enrolment that is there")
  .option("--run", "go on and run the gateway")
  .addOption(dataPlaneOption())
  .addOption(tunOption())
  .addOption(logLevelOption())
  .addOption(resolverHookOption())
  .action(async (options: EnrolOptions) => {
    if (!options.run) return enrolHere(options);
    await enrolInChild(options);
    await run(options);
  });

async function enrolHere({ token, state, force }: EnrolOptions): Promise<void> {
  const { enrol } = await import("./enrol/index.js");
  const { gatewayName, gatewayId, identity } = await enrol({
    token,
    store: new EnrolmentStore(state),
    agentVersion: version,
    force: force === true,
  });
  console.error(`enrolled as gateway ${gatewayName} (${gatewayId}), IKE identity ${identity}`);
}

/** What makes certificate requests takes 24 MiB, which the gateway's own process need not carry for ever. */
async function enrolInChild({ token, state, force }: EnrolOptions): Promise<void> {
  const args = ["enrol", "--state", state, ...(force ? ["--force"] : [])];
  const child = spawn(process.execPath, [process.argv[1] as string, ...args], {
    stdio: "inherit",
    env: { ...process.env, SALLYPORT_TOKEN: token },
  });
  const [code] = (await once(child, "exit")) as [number | null];
  if (code !== 0) process.exit(code ?? 1);
}

const say = (text: string) => console.log(harmless(text));

const tunnelCommand = (name: string, description: string) =>
  program
    .command(name)
    .description(description)
    .argument("<tunnel>", "the tunnel's name or id")
    .argument("[child]", "one CHILD SA of it")
    .addOption(stateOption())
    .action(async (tunnel: string, child: string | undefined, { state }: StateOption) => {
      await ask(controlSocketPath(state), { command: name, tunnel, ...(child && { child }) });
    });

tunnelCommand("up", "bring a tunnel up");
tunnelCommand("down", "take a tunnel down until it is asked for again");
tunnelCommand("rekey", "rekey a tunnel's IKE SA, or one CHILD SA");

const listCommand = (name: string, description: string) =>
  program
    .command(name)
    .description(description)
    .addOption(stateOption())
    .option("--json", "as JSON")
    .action(async ({ state, json }: StateOption & { json?: boolean }) => {
      const answer = await ask(controlSocketPath(state), { command: name, text: !json });
      say(json ? JSON.stringify(answer, null, 2) : String(answer));
    });

listCommand("status", "what this gateway is and how its tunnels are");
listCommand("proposals", "what is offered to each peer");
listCommand("certs", "certificates that this gateway shows, trusts or has taken");
listCommand("sas", "CHILD SAs with their counters; keys are masked");

program
  .command("trace")
  .description("every message with a peer, decoded, as it comes and goes; proofs and passwords are left out")
  .argument("<tunnel>", "the tunnel's name or id")
  .addOption(stateOption())
  .action(async (tunnel: string, { state }: StateOption) => {
    await ask(controlSocketPath(state), { command: "trace", tunnel }, say);
  });

program
  .command("logs")
  .description("the newest lines of the log")
  .addOption(stateOption())
  .option("-f, --follow", "go on with what comes")
  .option(
    "-n, --lines <count>",
    "how many",
    (text) => {
      const count = Number(text);
      if (!Number.isInteger(count) || count < 0) throw new InvalidArgumentError("a whole number of 0 or more");
      return count;
    },
    100,
  )
  .action(async ({ state, follow, lines }: StateOption & { follow?: boolean; lines: number }) => {
    await ask(controlSocketPath(state), { command: "logs", follow: follow === true, lines }, say);
  });

try {
  await program.parseAsync();
} catch (error) {
  if (!isFault(error)) throw error;
  const more = [
    error.field && `field ${error.field}`,
    error.value && `value ${error.value}`,
    error.expected && `expected ${error.expected}`,
  ];
  console.error(harmless(`${error.code}: ${[error.message, ...more.filter(Boolean)].join("; ")}`));
  process.exitCode = 1;
}
