import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";

const ENTRY = path.resolve(import.meta.dirname, "../../apps/control-plane/dist/main.js");

export interface RunningControlPlane {
  readonly url: string;
  /** Of the first operator. */
  readonly token: string;
  /** Every line of its log so far. */
  log(): string;
  stop(): Promise<void>;
}

/** The control plane as its user starts it for development: a process of its own, on a database of its own. */
export async function startControlPlane(): Promise<RunningControlPlane> {
  const home = await mkdtemp(path.join(tmpdir(), "sallyport-browser-"));
  const child: ChildProcess = spawn(process.execPath, [ENTRY], {
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      PATH: process.env.PATH,
      SALLYPORT_HOME: home,
      SALLYPORT_DEVELOPMENT: "1",
      SALLYPORT_LISTEN: "127.0.0.1:0",
      SALLYPORT_AGENTS_LISTEN: "127.0.0.1:0",
      SALLYPORT_LOG_LEVEL: "trace",
    },
  });
  let lines = "";
  child.stderr?.on("data", (some: Buffer) => {
    lines += some.toString("utf8");
  });
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGTERM");
      await once(child, "exit");
    }
    await rm(home, { recursive: true, force: true });
  };
  let url: string | undefined;
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
    url ??= /listens on (http:\S+)\/graphql/.exec(line)?.[1];
    const token = /API token\s+(\S+)/.exec(line)?.[1];
    if (url && token) return { url, token, log: () => lines, stop };
  }
  await stop();
  throw new Error(`the control plane did not start: ${lines.slice(-2000)}`);
}
