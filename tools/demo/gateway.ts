import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, open, readFile, rm, symlink } from "node:fs/promises";
import path from "node:path";
import { text } from "node:stream/consumers";
import { endProcess, spawnIn } from "@sallyport/testkit";

const root = path.resolve(import.meta.dirname, "../..");

export interface GatewayOptions {
  readonly name: string;
  readonly namespace: string;
  readonly dataPlane: "userspace" | "kernel";
  /** Folder of the demo; the gateway's own is below it. */
  readonly home: string;
}

/** A machine with an agent on it, in its namespace. */
export class Gateway {
  readonly #options: GatewayOptions;
  #agent: ChildProcess | undefined;
  #stopping = false;
  #death: Promise<never> = new Promise(() => {});

  constructor(options: GatewayOptions) {
    this.#options = options;
  }

  get logFile(): string {
    return path.join(this.#directory, "agent.log");
  }

  get pid(): number {
    return this.#agent?.pid ?? 0;
  }

  get namespace(): string {
    return this.#options.namespace;
  }

  /** The folder of its keys and last good intent, for `sallyport-agent status --state`. */
  get state(): string {
    return path.join(this.#directory, "state");
  }

  get #directory(): string {
    return path.join(this.#options.home, this.#options.name);
  }

  get #environment(): NodeJS.ProcessEnv {
    return {
      PATH: `${path.join(this.#options.home, "bin")}:${process.env.PATH}`,
      HOME: process.env.HOME,
      SALLYPORT_STATE: this.state,
      SALLYPORT_DATA_PLANE: this.#options.dataPlane,
    };
  }

  /** Runs the command that the control plane printed, as an operator would in a shell on the machine; it goes on as the agent. */
  async enrol(command: string): Promise<void> {
    await mkdir(this.#directory, { recursive: true });
    await installAgent(path.join(this.#options.home, "bin"));
    await this.#start("sh", ["-c", `exec ${command}`]);
  }

  /** Starts the agent of an enrolled machine, as its service manager would after a boot. */
  run(): Promise<void> {
    return this.#start("sallyport-agent", ["run"]);
  }

  async #start(program: string, args: readonly string[]): Promise<void> {
    const log = await open(this.logFile, "a", 0o600);
    this.#agent = spawnIn(this.namespace, program, args, {
      stdio: ["ignore", log.fd, log.fd],
      env: this.#environment,
      detached: true,
    });
    await log.close();
    const agent = this.#agent;
    this.#stopping = false;
    this.#death = once(agent, "exit").then(async () => {
      if (this.#stopping) return new Promise<never>(() => {});
      throw new Error(
        `the agent of ${this.namespace} ended by itself; its log ends:\n${(await this.log()).slice(-4000)}`,
      );
    });
    this.#death.catch(() => undefined);
  }

  /** What `work` gives, unless the agent ends first: then its log says why. */
  async whileRunning<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#death]);
  }

  /** SIGKILL, as a crash would be. */
  async kill(): Promise<void> {
    this.#stopping = true;
    if (this.#agent) await endProcess(this.#agent, "SIGKILL");
  }

  /** SIGTERM, as a service manager ends an agent that is restarted or upgraded: what the kernel carries stays. */
  async end(): Promise<void> {
    this.#stopping = true;
    if (this.#agent) await endProcess(this.#agent, "SIGTERM", 10_000);
  }

  /** Ends the agent and what it left for its successor; its SAs are deleted at its peers. */
  async stop(): Promise<void> {
    this.#stopping = true;
    if (this.#agent) await endProcess(this.#agent, "SIGINT", 10_000);
    const keeper = Number((await readFile(path.join(this.state, "keeper.pid"), "utf8").catch(() => "")).split(" ")[0]);
    if (keeper > 1) process.kill(keeper, "SIGKILL");
  }

  /** What the agent answers on its control socket. */
  async ask<T>(command: string): Promise<T> {
    const child = spawn(path.join(this.#options.home, "bin/sallyport-agent"), command.split(" "), {
      stdio: ["ignore", "pipe", "pipe"],
      env: this.#environment,
    });
    const [out, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "exit")]);
    if (code !== 0) throw new Error(`sallyport-agent ${command} failed: ${errors.trim()}`);
    return (out.trim() === "" ? undefined : JSON.parse(out)) as T;
  }

  /** All that its agents have logged. */
  log(): Promise<string> {
    return readFile(this.logFile, "utf8").catch(() => "");
  }
}

/** The agent as a command on PATH, as its package installs it. */
async function installAgent(bin: string): Promise<void> {
  const target = path.join(root, "apps/agent/bin/sallyport-agent.js");
  const link = path.join(bin, "sallyport-agent");
  await mkdir(bin, { recursive: true });
  await rm(link, { force: true });
  await symlink(target, link);
}
