import { mkdir } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { IkeEvent } from "@sallyport/ike";
import { DEFAULT_PORTS, type GatewayIntent } from "@sallyport/intent";
import { RequestedKeys } from "../certify/index.js";
import { fault } from "../faults.js";
import type { Verdict } from "../stream/index.js";
import type { DataPlaneChoice } from "./carrier.js";
import { systemClock } from "./clock.js";
import { ask, ControlSocket, tellable } from "./control-socket.js";
import { Credentials, type IdentityFiles } from "./credentials.js";
import { describe } from "./describe.js";
import { Gateway } from "./gateway.js";
import { endKeeper, startKeeper } from "./keeper.js";
import { localCommands } from "./local-commands.js";
import { createLogger, LogBuffer, type Logger } from "./log.js";
import { LogBudget } from "./log-budget.js";
import { Refused } from "./refused.js";
import { ResolverHook } from "./resolver-hook.js";
import { Revocation } from "./revocation.js";
import type { StartState } from "./status-text.js";
import type { IkePorts } from "./transport.js";
import { webFetch } from "./web-fetch.js";

export interface DaemonOptions {
  readonly stateDir: string;
  readonly dataPlane: DataPlaneChoice;
  readonly tunName: string;
  readonly logLevel: string;
  /** Milliseconds that a command waits for the first intent of a start; absent: 5 s. */
  readonly patienceMs?: number | undefined;
  /** A program that is told which name servers peers give (`ResolverHook`). */
  readonly resolverHook?: string | undefined;
}

export const controlSocketPath = (stateDir: string) => path.join(stateDir, "agent.sock");
/** How long a command waits for the first intent of a start; shorter than its caller's patience. */
const PATIENCE_MS = 5_000;
const keeperPath = (stateDir: string) => path.join(stateDir, "keeper.pid");

/** A CHILD SA may outlive its soft lifetime by a tenth; nobody comes back after that. */
function longestSaSeconds(intent: GatewayIntent | undefined): number {
  const children = intent?.connections.flatMap((c) => c.children) ?? [];
  return Math.ceil(Math.max(3600, ...children.map((c) => c.rekeySeconds)) * 1.1);
}

/** One agent process: a gateway with its log, its control socket and its keeper. */
export class Daemon {
  readonly logs = new LogBuffer();
  readonly log: Logger;
  readonly credentials: Credentials;
  readonly requested: RequestedKeys;
  readonly #listeners = new Set<(event: IkeEvent) => void>();
  readonly #lines = new LogBudget(systemClock.now);
  readonly #refused: Refused;
  #gateway: Gateway | undefined;
  #control: ControlSocket | undefined;
  #keeperSeconds = 0;
  /** An intent was there when the daemon was opened. */
  #expectsIntent = false;
  readonly #inForce = Promise.withResolvers<void>();
  #refusal: ReturnType<typeof tellable> | undefined;
  /** Set by whoever runs the stream to the control plane. */
  connected: () => boolean = () => false;
  /** The state of tunnels changed without an event. */
  onChange: () => void = () => {};

  constructor(
    readonly options: DaemonOptions,
    private readonly openGateway: typeof Gateway.open = Gateway.open,
  ) {
    this.log = createLogger(this.logs, options.logLevel);
    if (options.resolverHook !== undefined) {
      const hook = new ResolverHook(options.resolverHook, this.log);
      this.onEvent((event) => hook.onEvent(event));
    }
    this.requested = new RequestedKeys(options.stateDir);
    const revocation = new Revocation({
      fetch: webFetch,
      clock: systemClock,
      log: this.log,
      onNews: () => this.#gateway?.dropDistrusted(),
    });
    this.#refused = new Refused(revocation);
    this.credentials = new Credentials(revocation, this.requested);
  }

  get gateway(): Gateway {
    if (!this.#gateway) throw fault("agent/not-running", "the daemon is not open");
    return this.#gateway;
  }

  get state(): StartState {
    if (this.#gateway?.intent) return "running";
    return this.#expectsIntent ? "starting" : "no-intent";
  }

  /** Why the intent of this start is not in force; undefined when it is, or when nothing has been tried yet. */
  get refusal(): ReturnType<typeof tellable> | undefined {
    return this.state === "starting" ? this.#refusal : undefined;
  }

  /** The gateway when its intent is in force; a start is waited for. Throws `agent/starting` when it takes longer than 5 s. */
  async ready(): Promise<Gateway> {
    if (this.state === "starting") {
      const patience = new AbortController();
      const { signal } = patience;
      await Promise.race([
        this.#inForce.promise,
        sleep(this.options.patienceMs ?? PATIENCE_MS, undefined, { signal, ref: false }),
      ]);
      patience.abort();
    }
    if (this.state !== "starting") return this.gateway;
    const why = this.#refusal ? `: ${this.#refusal.message}` : "";
    throw fault("agent/starting", `the agent starts, its intent is not in force yet${why}`, {
      ...(this.#refusal && { value: this.#refusal.code }),
      expected: "the state `running` in `sallyport-agent status`",
    });
  }

  /**
   * `intent` is the one that `apply` is about to put in force, if there is any: its ports are opened. Throws `agent/already-running`
   * when another agent answers for the same state.
   */
  async open(intent: GatewayIntent | undefined, identities: readonly IdentityFiles[]): Promise<void> {
    const { stateDir } = this.options;
    await mkdir(stateDir, { recursive: true, mode: 0o700 });
    const socket = controlSocketPath(stateDir);
    const other = await ask(socket, { command: "status" }).then(
      () => true,
      () => false,
    );
    if (other)
      throw fault("agent/already-running", `an agent runs on ${stateDir} already`, { field: "state", value: stateDir });
    await this.requested.load();
    this.credentials.load(identities);
    this.#expectsIntent = intent !== undefined;
    await this.#openGateway(intent?.ports ?? DEFAULT_PORTS);
    this.#control = new ControlSocket(socket, localCommands(this), this.log);
    await this.#control.open();
    this.log.info(
      { dataPlane: this.gateway.carrier.dataPlane.capabilities.name, socket, pid: process.pid },
      "agent runs",
    );
  }

  /** Throws what `Gateway.apply` throws, and `agent/ports-unavailable`; then the last good intent stays in force. */
  async apply(intent: GatewayIntent): Promise<void> {
    const { ike, natt } = this.gateway.ports;
    try {
      if (intent.ports.ike === ike && intent.ports.natt === natt) await this.gateway.apply(intent);
      else await this.#move(intent);
    } catch (error) {
      this.#refusal = tellable(error);
      throw error;
    }
    this.#inForce.resolve();
    if (longestSaSeconds(intent) > this.#keeperSeconds) await this.#keep();
  }

  /** An intent with other keys and certificates; when it is refused, the keys and certificates before stay too. */
  async change(intent: GatewayIntent, identities: readonly IdentityFiles[], before: readonly IdentityFiles[]) {
    this.credentials.load(identities);
    try {
      await this.apply(intent);
    } catch (error) {
      this.credentials.load(before);
      throw error;
    }
  }

  /** Other ports are other sockets: the gateway is opened anew, and back on the old ones when that or the intent fails. */
  async #move(intent: GatewayIntent): Promise<void> {
    const { ports, intent: before } = this.gateway;
    try {
      await this.#openGateway(intent.ports).catch((cause: unknown) => {
        throw fault("agent/ports-unavailable", `UDP ${intent.ports.ike} and ${intent.ports.natt} cannot be opened`, {
          field: "ports",
          value: `${intent.ports.ike}, ${intent.ports.natt}`,
          expected: "ports that nobody else uses",
          cause,
        });
      });
      await this.gateway.apply(intent);
    } catch (error) {
      await this.#openGateway(ports);
      if (before) await this.gateway.apply(before);
      throw error;
    }
  }

  /** Whom the control plane has revoked, or let in again; gives how many IKE SAs ended, by number. One call at a time. */
  async judge(verdicts: readonly Verdict[]): Promise<ReadonlyMap<number, number>> {
    this.#refused.take(verdicts);
    return (await this.#gateway?.judge(verdicts)) ?? new Map();
  }

  /** Back to no intent at all. */
  clear(): Promise<void> {
    return this.gateway.clear();
  }

  async #openGateway(ports: IkePorts): Promise<void> {
    const { dataPlane, tunName } = this.options;
    await this.#gateway?.close({ keep: true });
    this.#gateway = undefined;
    await endKeeper(keeperPath(this.options.stateDir));
    this.#gateway = await this.openGateway({
      choice: dataPlane,
      ports,
      tunName,
      log: this.log,
      credentials: this.credentials,
      refused: this.#refused,
      onEvent: (event) => this.#onEvent(event),
      onChange: () => this.onChange(),
    });
    await this.#keep();
  }

  onEvent(listener: (event: IkeEvent) => void): void {
    this.#listeners.add(listener);
  }

  /** (Re)starts the keeper of the encapsulation sockets, to last as long as the longest SA. */
  async #keep(): Promise<void> {
    const fds = this.gateway.carrier.encapsulating.map((s) => s.descriptor);
    if (fds.length === 0) return;
    await endKeeper(keeperPath(this.options.stateDir));
    this.#keeperSeconds = longestSaSeconds(this.gateway.intent);
    await startKeeper(keeperPath(this.options.stateDir), fds, this.#keeperSeconds);
  }

  /** `keep`: SAs stay for the next agent, where the data plane can. */
  async close({ keep }: { keep: boolean }): Promise<void> {
    const stays = keep && this.gateway.carrier.encapsulating.length > 0;
    this.log.info({ keep: stays }, "agent stops");
    await this.#control?.close();
    if (!stays) await endKeeper(keeperPath(this.options.stateDir));
    await this.gateway.close({ keep: stays });
  }

  #onEvent(event: IkeEvent): void {
    const { severity, code, message, facts } = describe(event);
    const level = severity === "warning" ? "warn" : severity;
    const leftOut = this.#lines.take(event.peer);
    if (leftOut !== undefined) {
      const about = { code, ...(event.peer && { tunnel: event.peer }), ...facts, ...(leftOut > 0 && { leftOut }) };
      this.log[level](about, message);
    }
    for (const listener of this.#listeners) listener(event);
  }
}
