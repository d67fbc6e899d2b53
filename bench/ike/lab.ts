/** What the benchmarks of IKE share: a responder at one end of a cable, a load generator at the other. */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { createInterface } from "node:readline";
import { createAuthority, spawnIn, type Topology } from "@sallyport/testkit";
import { type AuthKind, CLIENT, type Scenario, SERVER } from "./scenario.ts";

const here = import.meta.dirname;

export interface Place extends Topology {
  readonly server: string;
  readonly client: string;
}

/** A responder at one end of a cable, a generator at the other. */
export function place(name: string): Place {
  const [server, client] = [`spb-${name}-r`, `spb-${name}-g`];
  return {
    server,
    client,
    // charon's route through its TUN device wants an address of its own as source.
    namespaces: [{ name: server, loopback: [`${SERVER.inner}/32`] }, { name: client }],
    cables: [
      [
        { namespace: server, device: `spb-${name}-r0`, addresses: [`${SERVER.address}/24`] },
        { namespace: client, device: `spb-${name}-g0`, addresses: [`${CLIENT.address}/24`] },
      ],
    ],
  };
}

export interface Program {
  readonly child: ChildProcess;
  /** Sends a line, gives the line that answers it. */
  readonly ask: (line: string) => Promise<string>;
}

/** A program of this folder, or another file, that talks in lines; resolves when it has answered its first one. */
export async function program(
  namespace: string,
  core: number,
  file: string,
  first: unknown,
  flags: readonly string[] = [],
): Promise<Program> {
  const args = ["-c", String(core), process.execPath, ...flags, path.resolve(here, file)];
  const child = spawnIn(namespace, "taskset", args, { stdio: ["pipe", "pipe", "inherit"] });
  if (!child.stdin || !child.stdout) throw new Error(`${file} has no pipes`);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const { stdin } = child;
  const ask = async (line: string) => {
    stdin.write(`${line}\n`);
    const { value, done } = await lines.next();
    if (done) throw new Error(`${file} ended`);
    return value;
  };
  await ask(JSON.stringify(first));
  return { child, ask };
}

const AGENT = path.resolve(here, "../../apps/agent/bin/sallyport-agent.js");
/** Node's options that the agent starts with. */
export const AGENT_OPTIONS = /^#!\S+ -S node (.*)$/m.exec(readFileSync(AGENT, "utf8"))?.[1]?.split(" ") ?? [];

/** CPU time of a process in nanoseconds, over all of its threads. */
export async function cpuTime(pid: number): Promise<number> {
  let total = 0;
  for (const task of await readdir(`/proc/${pid}/task`)) {
    const text = await readFile(`/proc/${pid}/task/${task}/schedstat`, "utf8").catch(() => "0");
    total += Number(text.split(" ")[0]);
  }
  return total;
}

/** Holds all threads of a process on one core. */
export async function pin(pid: number, core: number): Promise<void> {
  const [code] = await once(
    spawn("taskset", ["-a", "-c", "-p", String(core), String(pid)], { stdio: "ignore" }),
    "exit",
  );
  if (code !== 0) throw new Error(`cannot pin ${pid} to core ${core}`);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

export type Credentials = Pick<Scenario, "secret" | "authority" | "server" | "client">;

/** A secret, and certificates of both ends under one authority, with keys of that kind. */
export async function credentials(auth: AuthKind): Promise<Credentials> {
  const kind = auth === "rsa" ? "rsa" : "ecdsa";
  const authority = await createAuthority("bench", kind);
  const [server, client] = await Promise.all([authority.issue(SERVER.id, kind), authority.issue(CLIENT.id, kind)]);
  return { secret: randomBytes(24).toString("base64"), authority: authority.certificate, server, client };
}
