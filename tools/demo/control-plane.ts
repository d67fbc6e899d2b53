import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, open, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { endProcess, eventually, hasEnded } from "@sallyport/testkit";
import { Api } from "./api.ts";
import { CONTROL_PLANE_ADDRESS } from "./world.ts";

const root = path.resolve(import.meta.dirname, "../..");
const ENTRY = path.join(root, "apps/control-plane/dist/main.js");
const READY_MS = 120_000;

export interface FirstOperator {
  readonly email: string;
  readonly oneTimePassword: string;
  readonly apiToken: string;
}

export interface ControlPlaneOptions {
  /** Folder of its database, keys and log. */
  readonly home: string;
  readonly port: number;
  readonly agentsPort: number;
}

/** `npm start` as a child process, with a home of its own. */
export class ControlPlane {
  readonly #options: ControlPlaneOptions;
  #child: ChildProcess | undefined;
  #first: FirstOperator | undefined;

  constructor(options: ControlPlaneOptions) {
    this.#options = options;
  }

  get logFile(): string {
    return path.join(this.#options.home, "control-plane.log");
  }

  get #pidFile(): string {
    return path.join(this.#options.home, "control-plane.pid");
  }

  get url(): string {
    return `http://127.0.0.1:${this.#options.port}/graphql`;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Only the first start of a home prints who may sign in; later ones keep what that one said. */
  get firstOperator(): FirstOperator {
    if (!this.#first) throw new Error("the control plane has not started yet");
    return this.#first;
  }

  get api(): Api {
    return new Api(this.url, this.firstOperator.apiToken);
  }

  /** Resolves when it answers requests; rejects in plain words when it does not. */
  async start(): Promise<void> {
    await mkdir(this.#options.home, { recursive: true, mode: 0o755 });
    const log = await open(this.logFile, "a", 0o600);
    this.#child = spawn(process.execPath, [ENTRY], {
      cwd: root,
      // A group of its own: Ctrl-C is the demo's to handle, in order.
      detached: true,
      stdio: ["ignore", log.fd, log.fd],
      env: {
        ...process.env,
        SALLYPORT_DEVELOPMENT: "1",
        SALLYPORT_HOME: this.#options.home,
        SALLYPORT_LISTEN: `127.0.0.1:${this.#options.port}`,
        SALLYPORT_AGENTS_LISTEN: `0.0.0.0:${this.#options.agentsPort}`,
        SALLYPORT_AGENTS_URLS: `https://${CONTROL_PLANE_ADDRESS}:${this.#options.agentsPort}`,
      },
    });
    await log.close();
    const child = this.#child;
    await writeFile(this.#pidFile, String(child.pid));
    await eventually(
      `the control plane is ready (its log: ${this.logFile})`,
      async () => {
        if (hasEnded(child)) throw new Error(`it ended with ${child.exitCode ?? child.signalCode}`);
        this.#first ??= readCredentials(await readFile(this.logFile, "utf8"));
        const response = await fetch(new URL("/health/ready", this.url));
        return (response.ok && this.#first) || undefined;
      },
      READY_MS,
      20,
    );
  }

  /** Ends it, and the database with it. */
  async stop(): Promise<void> {
    if (this.#child) await endProcess(this.#child, "SIGTERM", 20_000);
    await this.#endDatabase();
  }

  async remove(): Promise<void> {
    await this.stop();
    await rm(this.#options.home, { recursive: true, force: true });
  }

  /** Ends what a demo that was killed left running of this home. */
  async endOrphan(): Promise<void> {
    const pid = Number(await readFile(this.#pidFile, "utf8").catch(() => "0"));
    const line = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (line.includes(ENTRY)) process.kill(pid, "SIGKILL");
    await this.#endDatabase();
  }

  /** SIGKILL, as a crash would be: the database goes on. */
  async kill(): Promise<void> {
    if (this.#child) await endProcess(this.#child, "SIGKILL");
  }

  /** Of the database server; 0 when it does not run. */
  async databasePid(): Promise<number> {
    const file = path.join(this.#options.home, "postgres/data/postmaster.pid");
    const text = await readFile(file, "utf8").catch(() => "");
    return Number(text.split("\n")[0] || 0);
  }

  /** A control plane that was killed leaves its database running. */
  async #endDatabase(): Promise<void> {
    const pid = await this.databasePid();
    const runs = () =>
      readFile(`/proc/${pid}/cmdline`, "utf8").then(
        (c) => c.includes("postgres"),
        () => false,
      );
    if (pid === 0 || !(await runs())) return;
    process.kill(pid, "SIGINT");
    await eventually("the database has stopped", async () => ((await runs()) ? undefined : true), 20_000);
  }
}

function readCredentials(log: string): FirstOperator | undefined {
  const find = (pattern: RegExp) => pattern.exec(log)?.[1];
  const email = find(/([^\s"]+@localhost)/);
  const oneTimePassword = find(/one-time password\W+(\S+)/i);
  const apiToken = find(/(sp_[A-Za-z0-9_-]{43})/);
  return email && oneTimePassword && apiToken ? { email, oneTimePassword, apiToken } : undefined;
}
