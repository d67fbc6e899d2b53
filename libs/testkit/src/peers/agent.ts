import type { ChildProcess } from "node:child_process";
import { mkdir, mkdtemp, open, readFile, rename, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";
import type { EngineStatus, IkeStatus, PeerStatus } from "@sallyport/ike";
import { type GatewayIntent, serializeIntent } from "@sallyport/intent";
import type { Credential } from "./certificates.js";
import { LogFile } from "./log-file.js";
import { endProcess, eventually, hasEnded, spawnIn } from "./process.js";

/** A busy guest takes its time. */
const START_MS = 30_000;
const TOOK_OVER = "took over changed files";

const root = path.resolve(import.meta.dirname, "../../../..");
/** As it is installed: Node's options are its own. */
const ENTRY = path.join(root, "apps/agent/bin/sallyport-agent.js");
/** The Node that runs this program, which npm scripts make the pinned one, comes first. */
const ENVIRONMENT = { ...process.env, PATH: `${path.dirname(process.execPath)}:${process.env.PATH}` };

export interface AgentOptions {
  readonly namespace: string;
  readonly dataPlane: "userspace" | "kernel";
  readonly intent: GatewayIntent;
  /** The gateway's certificate and key, for intents that name one. */
  readonly credential?: Credential;
  /** Others that the intent names. */
  readonly moreCredentials?: readonly Credential[];
}

/** What `sallyport-agent status --json` says, as far as tests look at it. */
export type AgentStatus = EngineStatus & {
  readonly dataPlane: string;
  readonly connected: boolean;
  readonly state: "starting" | "no-intent" | "running";
  /** Null before the first intent. */
  readonly gateway: { readonly id: string; readonly name: string } | null;
};

const credentialsOf = ({ credential, moreCredentials = [] }: AgentOptions) => [
  ...(credential ? [credential] : []),
  ...moreCredentials,
];

function identityFiles(directory: string, i: number) {
  const stem = path.join(directory, `state/identity${i === 0 ? "" : `-${i}`}`);
  return { key: `${stem}.key`, crt: `${stem}.crt` };
}

/** The real agent as a process of its own, on a static intent, without a control plane. */
export class Agent {
  readonly #log: LogFile;

  private constructor(
    private readonly options: AgentOptions,
    private child: ChildProcess,
    private readonly directory: string,
  ) {
    this.#log = new LogFile(path.join(directory, "log"));
  }

  static async start(options: AgentOptions): Promise<Agent> {
    const directory = await mkdtemp(path.join(tmpdir(), "sallyport-agent-"));
    await mkdir(path.join(directory, "state"), { mode: 0o700 });
    for (const [i, { privateKey, certificate }] of credentialsOf(options).entries()) {
      const { key, crt } = identityFiles(directory, i);
      await writeFile(key, privateKey, { mode: 0o600 });
      await writeFile(crt, certificate);
    }
    await writeFile(path.join(directory, "intent.json"), serializeIntent(options.intent), { mode: 0o600 });
    const agent = new Agent(options, await Agent.spawn(options, directory), directory);
    try {
      await agent.ready();
    } catch (error) {
      const log = await agent.wholeLog();
      await agent.stop();
      throw new Error(`the agent did not start in ${options.namespace}; its log ends:\n${log.slice(-4000)}`, {
        cause: error,
      });
    }
    return agent;
  }

  private static async spawn(options: AgentOptions, directory: string): Promise<ChildProcess> {
    const log = await open(path.join(directory, "log"), "a", 0o600);
    const args = ["run", "--intent", path.join(directory, "intent.json"), "--state", path.join(directory, "state")];
    for (const i of credentialsOf(options).keys()) {
      const { key, crt } = identityFiles(directory, i);
      args.push("--key", key, "--certificate", crt);
    }
    const child = spawnIn(options.namespace, ENTRY, [...args, "--data-plane", options.dataPlane], {
      env: ENVIRONMENT,
      stdio: ["ignore", log.fd, log.fd],
    });
    await log.close();
    return child;
  }

  private ready(): Promise<AgentStatus> {
    const probe = async () => {
      if (hasEnded(this.child)) throw new Error(`the agent ended with ${this.child.exitCode ?? this.child.signalCode}`);
      const status = await this.status();
      return status.state === "running" ? status : undefined;
    };
    return eventually("the agent has taken its intent", probe, START_MS);
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** One request on the control socket; rejects with the agent's own words. */
  async ask(command: string, args: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    const socket = connect(path.join(this.directory, "state/agent.sock"));
    socket.end(`${JSON.stringify({ command, ...args })}\n`);
    const answer = JSON.parse(await text(socket));
    if (!answer.ok) throw new Error(`the agent refused ${command}: ${answer.message}`);
    return answer.result;
  }

  async status(): Promise<AgentStatus> {
    return (await this.ask("status")) as AgentStatus;
  }

  async peer(connection: string): Promise<PeerStatus> {
    const found = (await this.status()).peers.find((p) => p.peer === connection);
    if (!found) throw new Error(`the agent knows no connection ${connection}`);
    return found;
  }

  /** The one IKE SA of a connection that carries its CHILD SAs, once there is exactly one that is established. */
  established(connection: string, timeoutMs?: number): Promise<IkeStatus> {
    return eventually(
      `${connection} has one IKE SA and its CHILD SA`,
      async () => {
        const sas = (await this.peer(connection)).sas.filter((sa) => sa.state === "established");
        const installed = sas[0]?.children.filter((c) => c.state === "installed") ?? [];
        return sas.length === 1 && installed.length > 0 ? sas[0] : undefined;
      },
      timeoutMs,
    );
  }

  /** Replaces its files as an operator would, by renaming, and waits until it has taken them over. */
  async change(to: { readonly intent?: GatewayIntent; readonly credential?: Credential }): Promise<void> {
    const before = (await this.wholeLog()).split(TOOK_OVER).length;
    const replace = async (name: string, content: string) => {
      const file = path.join(this.directory, name);
      await writeFile(`${file}.new`, content, { mode: 0o600 });
      await rename(`${file}.new`, file);
    };
    if (to.credential) {
      await replace("state/identity.key", to.credential.privateKey);
      await replace("state/identity.crt", to.credential.certificate);
    }
    if (to.intent) await replace("intent.json", serializeIntent(to.intent));
    await eventually("the agent has taken over its changed files", async () => {
      return (await this.wholeLog()).split(TOOK_OVER).length > before || undefined;
    });
  }

  /** SIGKILL, as a crash would be. */
  async kill(): Promise<void> {
    this.child.kill("SIGKILL");
    await eventually("the killed agent is gone", () => hasEnded(this.child) || undefined);
  }

  /** Starts the same agent on the same state again, after `kill` or `end`. */
  async restart(): Promise<void> {
    this.child = await Agent.spawn(this.options, this.directory);
    await this.ready();
  }

  /** What a killed agent leaves so that its kernel goes on decapsulating (docs/adr/0008). */
  private async endKeeper(): Promise<void> {
    const file = await readFile(path.join(this.directory, "state/keeper.pid"), "utf8").catch(() => "");
    const pid = Number(file.split(" ")[0]);
    if (pid > 1) process.kill(pid, "SIGKILL");
  }

  /** What it has logged since `markLogs`, or since it began. */
  log(): Promise<string> {
    return this.#log.sinceMark();
  }

  /** All that it has logged, a crash before included. */
  wholeLog(): Promise<string> {
    return this.#log.whole();
  }

  /** Ends the process with its SAs and removes its folder. May be called twice. */
  async stop(): Promise<void> {
    this.#log.close();
    await endProcess(this.child, "SIGINT");
    await this.endKeeper();
    await rm(this.directory, { recursive: true, force: true });
  }
}

export const startAgent = (options: AgentOptions): Promise<Agent> => Agent.start(options);
