import type { ChildCounters } from "@sallyport/contract";
import {
  type Effect,
  type EngineStatus,
  IkeEngine,
  type IkeEvent,
  type IkeStatus,
  type PolicyStatus,
  usePrimitives,
} from "@sallyport/ike";
import type { ConnectionIntent, GatewayIntent } from "@sallyport/intent";
import { IkePrimitives } from "@sallyport/linux-io";
import { fault } from "../faults.js";
import type { Snapshot, Verdict } from "../stream/index.js";
import { IntentApplier } from "./applier.js";
import { type Carrier, type CarrierOptions, openCarrier } from "./carrier.js";
import { SystemRng, systemClock } from "./clock.js";
import type { Credentials } from "./credentials.js";
import { CryptoPool } from "./crypto-pool.js";
import { DhcpResponder } from "./dhcp-responder.js";
import { EapTlsRunner } from "./eap-tls.js";
import { EngineHost } from "./engine-host.js";
import { NetworkWatcher, ownAddresses } from "./network.js";
import type { Refused } from "./refused.js";
import { childCounters, tunnelStates } from "./report.js";
import { inSlices } from "./slices.js";
import type { IkePorts } from "./transport.js";

export interface GatewayOptions extends Omit<CarrierOptions, "clock"> {
  readonly credentials: Credentials;
  readonly refused: Refused;
  readonly onEvent: (event: IkeEvent) => void;
  /** The state of tunnels changed without an event of the engine. */
  readonly onChange: () => void;
}

type Trace = Extract<Effect, { do: "trace" }>;

/** Certificates that IKE SAs rest on are held against what is known of revocations this often. */
const JUDGE_MS = 30_000;

/** The engine with all that it needs on this machine: sockets, data plane, keys, and the intent in force. */
export class Gateway {
  readonly #rng = new SystemRng();
  readonly #crypto: CryptoPool;
  readonly #host: EngineHost;
  readonly #applier: IntentApplier;
  readonly #dhcp: DhcpResponder;
  readonly #watcher: NetworkWatcher;
  #looking: Promise<void> | undefined;
  #changedAgain = false;
  #judging: Promise<void> | undefined;
  #judgeAgain = false;
  readonly #judgeTimer = setInterval(() => this.dropDistrusted(), JUDGE_MS).unref();
  /** IKE SAs that have lost their CHILD SAs because they are not believed any more, while somebody counts them. */
  #distrusted: Map<number, IkeStatus> | undefined;
  readonly #traces = new Map<string, Set<(trace: Trace) => void>>();
  /** When a tunnel's status was first seen as it is, wall time. */
  readonly #since = new Map<string, { status: number; at: number }>();
  readonly #wallOffset = systemClock.wall() - systemClock.now();

  private constructor(
    private readonly options: GatewayOptions,
    readonly carrier: Carrier,
  ) {
    usePrimitives(new IkePrimitives());
    this.#crypto = new CryptoPool(options.credentials, new EapTlsRunner(options.credentials));
    this.#host = new EngineHost({
      engine: new IkeEngine({ rng: this.#rng }),
      clock: systemClock,
      transport: carrier.transport,
      dataPlane: carrier.dataPlane,
      crypto: this.#crypto,
      log: options.log,
      onEvent: (event) => {
        if (event.event === "child-down" && event.reason === "distrusted")
          this.#distrusted?.set(event.ike.serial, event.ike);
        if (event.event === "peer-dead" || event.event === "negotiation-failed") this.#applier.doubt();
        options.onEvent(event);
      },
      onTrace: (trace) => {
        for (const listener of this.#traces.get(trace.peer) ?? []) listener(trace);
      },
    });
    this.#applier = new IntentApplier({
      configure: (config) => this.#host.configure(config),
      dataPlane: carrier.dataPlane,
      virtual: () => this.#host.virtualAddresses(),
      credential: (certificate) => options.credentials.credential(certificate),
      admitted: (intent) => options.refused.admitted(intent),
      clock: systemClock,
      log: options.log,
      stands: (connection) => this.#stands(connection),
      onMissing: options.onChange,
    });
    this.#dhcp = new DhcpResponder({
      lessee: (address) => this.#host.lessee(address),
      clock: systemClock,
      log: options.log,
    });
    this.#watcher = new NetworkWatcher(carrier.ownTables, () => this.#networkChanged());
  }

  static async open(options: GatewayOptions): Promise<Gateway> {
    const gateway = new Gateway(options, await openCarrier({ ...options, clock: systemClock }));
    await gateway.#host.adopt();
    gateway.#host.network(ownAddresses([]));
    return gateway;
  }

  /** Throws what `IntentApplier.apply` throws; the last good intent then stays in force. */
  async apply(intent: GatewayIntent): Promise<void> {
    const before = this.intent;
    this.options.credentials.useAnchors(intent);
    try {
      await this.#applier.apply(intent);
      this.#dhcp.listen(intent.connections.some(tellsByDhcp));
    } catch (error) {
      if (before) this.options.credentials.useAnchors(before);
      throw error;
    }
  }

  /** Back to no intent at all. */
  async clear(): Promise<void> {
    await this.#applier.clear();
    this.#dhcp.listen(false);
  }

  #networkChanged(): void {
    this.#host.network(ownAddresses(this.#host.virtualAddresses()));
    this.#changedAgain = true;
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
  }

  /** Names and routes are asked for once at a time, however often the network changes meanwhile. */
  async #look(): Promise<void> {
    const { log } = this.options;
    while (this.#changedAgain) {
      this.#changedAgain = false;
      await this.#applier.refresh().catch((err: unknown) => log.error({ err }, "looking at the network anew failed"));
    }
  }

  #stands(peer: string): boolean {
    if (!this.#host.stands(peer)) return false;
    this.#host.command({ command: "probe", peer });
    return true;
  }

  /** Looks at names, addresses, keys and certificates anew. */
  refresh(): Promise<void> {
    return this.#applier.refresh();
  }

  get ports(): IkePorts {
    return this.options.ports;
  }

  get intent(): GatewayIntent | undefined {
    return this.#applier.current;
  }

  /** Datagrams that were dropped because the engine was busy. */
  get dropped(): number {
    return this.#host.dropped + this.carrier.transport.dropped;
  }

  status(): Promise<EngineStatus> {
    return this.#host.status();
  }

  policies(): Promise<readonly PolicyStatus[]> {
    return this.#host.policies();
  }

  /** A connection by its id or name. Throws `agent/unknown-tunnel`. */
  tunnel(name: string): string {
    const connections = this.intent?.connections ?? [];
    const found = connections.find((c) => c.id === name) ?? connections.find((c) => c.name === name);
    if (found) return found.id;
    throw fault("agent/unknown-tunnel", `no tunnel "${name}"`, {
      field: "tunnel",
      value: name,
      expected: connections.map((c) => c.name).join(", ") || "a tunnel, and there is none",
    });
  }

  /** Ends what rests on certificates that are known to be revoked by now, and asks what is to be known of the others. */
  dropDistrusted(): void {
    this.#judgeAgain = true;
    this.#judging ??= this.#judge()
      .catch((err: unknown) => this.options.log.error({ err }, "holding certificates against revocations failed"))
      .finally(() => {
        this.#judging = undefined;
      });
  }

  async #judge(): Promise<void> {
    while (this.#judgeAgain) {
      this.#judgeAgain = false;
      for await (const { fingerprint, failure } of this.options.credentials.distrusted()) {
        this.#host.command({ command: "distrust", fingerprint, failure });
      }
    }
  }

  /**
   * Ends what rests on those whom `refused` has come to refuse, and takes in whom it refuses no more; gives how many IKE SAs ended, by
   * the number of the verdict. One call at a time.
   */
  async judge(verdicts: readonly Verdict[]): Promise<ReadonlyMap<number, number>> {
    const ended = new Map<number, number>();
    const count = (number: number) => ended.set(number, (ended.get(number) ?? 0) + 1);
    for (const { number, refusal, lifted } of verdicts) {
      if (refusal.kind !== "certificate" || lifted) continue;
      const lost = await this.#counting(() => this.#distrust(refusal.fingerprint, refusal.subject));
      for (const _ of lost) count(number);
    }
    const people = verdicts.flatMap(({ number, refusal }) =>
      refusal.kind === "person" ? [[refusal.username, number] as const] : [],
    );
    if (people.length > 0) {
      const numbers = new Map(people);
      for (const { user, remoteId } of await this.#counting(() => this.#applier.admitAnew())) {
        const number = numbers.get((user ?? remoteId ?? "").toLowerCase());
        if (number !== undefined) count(number);
      }
    }
    return ended;
  }

  /** What rests on this very certificate, and on those that it has issued. */
  async #distrust(fingerprint: string, subject: string): Promise<void> {
    const failure = { code: "pki/revoked", message: `${subject} was revoked by the control plane` };
    await this.#host.carriedOut({ command: "distrust", fingerprint, failure });
    for await (const below of this.options.credentials.distrusted(fingerprint)) {
      await this.#host.carriedOut({ command: "distrust", ...below });
    }
  }

  async #counting(work: () => Promise<void>): Promise<readonly IkeStatus[]> {
    const distrusted = new Map<number, IkeStatus>();
    this.#distrusted = distrusted;
    try {
      await work();
      return [...distrusted.values()];
    } finally {
      this.#distrusted = undefined;
    }
  }

  /** Hands every message of the peer to `listener` until the function that it gives is called. */
  trace(peer: string, listener: (trace: Trace) => void): () => void {
    const listeners = this.#traces.get(peer) ?? new Set();
    this.#traces.set(peer, listeners.add(listener));
    this.#host.command({ command: "trace", peer, on: true });
    return () => {
      listeners.delete(listener);
      if (listeners.size > 0) return;
      this.#traces.delete(peer);
      this.#host.command({ command: "trace", peer, on: false });
    };
  }

  initiate(peer: string, child?: string): void {
    this.#host.command({ command: "initiate", peer, ...(child && { child }) });
  }

  /** Resolves when all IKE SAs of the peer have been told, of which there may be tens of thousands. */
  terminate(peer: string, child?: string): Promise<void> {
    return this.#host.carriedOut({ command: "terminate", peer, ...(child && { child }) });
  }

  /** Without `child`, the IKE SA. */
  rekey(peer: string, child?: string): void {
    this.#host.command(child ? { command: "rekey-child", peer, child } : { command: "rekey-ike", peer });
  }

  /** Beside the SAs that stand, when this end can call. */
  reauthenticate(peer: string): void {
    this.#host.command({ command: "reauthenticate", peer });
  }

  /** What was told before and still is so is told again: nothing new is kept of it. */
  async states(told: Snapshot): Promise<Snapshot> {
    const { intent } = this;
    if (!intent) return new Map();
    const ids = new Set(intent.connections.map((c) => c.id));
    for (const id of this.#since.keys()) if (!ids.has(id)) this.#since.delete(id);
    const steps = tunnelStates(
      intent,
      (visit) => this.#host.statusSteps(visit),
      told,
      this.#applier.missing,
      (at) => Math.round(at + this.#wallOffset),
      (tunnel, status) => {
        const seen = this.#since.get(tunnel);
        if (seen?.status === status) return seen.at;
        const at = systemClock.wall();
        this.#since.set(tunnel, { status, at });
        return at;
      },
    );
    return inSlices(steps);
  }

  async counters(): Promise<ChildCounters[]> {
    const listed = await this.carrier.dataPlane.listSas();
    return inSlices(childCounters((visit) => this.#host.statusSteps(visit), listed, systemClock.wall()));
  }

  /** With `keep`, SAs and policies stay and go on carrying traffic where the data plane can; else all is deleted, here and at the peers. */
  async close({ keep }: { keep: boolean }): Promise<void> {
    clearInterval(this.#judgeTimer);
    this.#watcher.close();
    this.#applier.close();
    this.#dhcp.close();
    if (!keep) await this.#host.shutdown();
    this.#host.close();
    if (!keep) await this.carrier.dataPlane.flush();
    await this.carrier.dataPlane.close({ keep });
    this.carrier.transport.close();
    await this.#crypto.close();
  }
}

/** Whether callers are told something that Windows asks for by DHCP alone. */
function tellsByDhcp({ modeConfig }: ConnectionIntent): boolean {
  const told = modeConfig ? [modeConfig, ...(modeConfig.users ?? [])] : [];
  return told.some(({ splitInclude, dns }) => (splitInclude?.length ?? 0) + (dns?.length ?? 0) > 0);
}
