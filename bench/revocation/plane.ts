/** The control plane as a process with its database, as an operator starts it. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import path from "node:path";
import { createInterface } from "node:readline";
import { Api } from "../../tools/demo/api.ts";
import type { Held } from "../reports/probe.ts";

const root = path.resolve(import.meta.dirname, "../..");

/** A port that nobody has. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export class Plane {
  #child: ChildProcess | undefined;
  #api: Api | undefined;
  /** Only the first start of a home tells it. */
  #token: string | undefined;
  #agentsPort: number | undefined;

  readonly #home: string;

  constructor(home: string) {
    this.#home = home;
  }

  get api(): Api {
    if (!this.#api) throw new Error("the control plane does not run");
    return this.#api;
  }

  /** Folder of the embedded PostgreSQL. */
  get database(): string {
    return path.join(this.#home, "postgres");
  }

  async start(roles: string): Promise<void> {
    this.#agentsPort ??= await freePort();
    const probe = path.join(import.meta.dirname, "../reports/probe.ts");
    const child = spawn(process.execPath, ["--import", probe, path.join(root, "apps/control-plane/dist/main.js")], {
      stdio: ["ignore", "pipe", "inherit", "ipc"],
      env: {
        PATH: process.env.PATH,
        SALLYPORT_HOME: this.#home,
        SALLYPORT_ROLES: roles,
        SALLYPORT_LISTEN: "127.0.0.1:0",
        SALLYPORT_AGENTS_LISTEN: `127.0.0.1:${this.#agentsPort}`,
        SALLYPORT_LOG_LEVEL: "error",
      },
    });
    this.#child = child;
    if (!child.stdout) throw new Error("the control plane has no output");
    let url: string | undefined;
    for await (const line of createInterface({ input: child.stdout })) {
      url ??= /listens on (\S+)/.exec(line)?.[1];
      this.#token ??= /API token\s+(\S+)/.exec(line)?.[1];
      if (!url || !this.#token) continue;
      this.#api = new Api(url, this.#token);
      return;
    }
    throw new Error("the control plane did not start");
  }

  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (!child || child.exitCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGTERM");
    await gone;
  }

  /** How long its event loop was held since the last call. */
  async held(): Promise<Held> {
    const child = this.#child as ChildProcess;
    child.send("held");
    return ((await once(child, "message")) as [Held])[0];
  }
}
