import type { Clock, Endpoint, IpAddress } from "@sallyport/base";
import type { DataPlane, DataPlaneEvent } from "@sallyport/dataplane";
import {
  BACKLOG_TIMER,
  type Command,
  type CryptoJob,
  type DataPlaneOp,
  type Effect,
  type EngineStatus,
  type Failure,
  failureOf,
  type IkeConfig,
  type IkeEvent,
  type IkeStatus,
  type Input,
  type Lessee,
  type PolicyStatus,
  wipeHandedOver,
} from "@sallyport/ike";
import type { CryptoAnswer, CryptoRunner } from "./crypto-runner.js";
import { InputQueue, type Waiting } from "./input-queue.js";
import { localAddressFor } from "./locate.js";
import type { Logger } from "./log.js";
import { inSlices } from "./slices.js";
import { Timers } from "./timers.js";
import type { IkeTransport } from "./transport.js";
import { WorkBudget } from "./work-budget.js";

export interface Engine {
  handle(input: Input): readonly Effect[];
  owner(datagram: Uint8Array): number | undefined;
  statusSteps(visit?: (sa: IkeStatus) => void): Generator<undefined, EngineStatus>;
  stands(peer: string): boolean;
  policySteps(): Generator<undefined, readonly PolicyStatus[]>;
  lessee(address: IpAddress): Lessee | undefined;
  virtualAddresses(): readonly IpAddress[];
  readonly backlog: number;
}

export interface EngineHostOptions {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly transport: IkeTransport;
  readonly dataPlane: DataPlane;
  readonly crypto: CryptoRunner;
  /** Whence packets to an address leave; rejects when there is no way. Absent: the routing table says so. */
  readonly localAddressFor?: typeof localAddressFor;
  readonly log: Logger;
  readonly onEvent: (event: IkeEvent) => void;
  readonly onTrace: (trace: Extract<Effect, { do: "trace" }>) => void;
}

/** Inputs are worked off for this long before sockets and timers get their turn. */
const SLICE_MS = 5;
/** Defects are logged this often at most. */
const LOG_EVERY_MS = 1_000;

type Refused = Failure & { readonly op: DataPlaneOp };

/** What one configuration did to the data plane. */
export interface ConfigOutcome {
  readonly failures: readonly Refused[];
}

/** Gives the engine its inputs and carries out its effects. Nothing calls back into it: results come back as inputs. */
export class EngineHost {
  readonly #timers: Timers;
  readonly #queue = new InputQueue();
  readonly #budget = new WorkBudget();
  #draining = false;
  /** When this turn's slice is over. */
  #sliceEnds: number | undefined;
  #closed = false;
  /** Data plane calls, one after another in the order of emission. */
  #dataPlaneTail: Promise<void> = Promise.resolve();
  /** Who waits for an input to be dealt with. */
  readonly #awaited = new Map<Input, () => void>();
  /** Who waits until all that is decided for IKE SAs is done. */
  #workAwaited: (() => void)[] = [];
  /** What the data plane refused of the configuration that is being put in force. */
  #refused: Refused[] | undefined;
  #dropped = 0;
  #loggedAt = Number.NEGATIVE_INFINITY;

  constructor(private readonly options: EngineHostOptions) {
    this.#timers = new Timers(
      () => options.clock.now(),
      (timer) => this.#feed({ on: "timer", now: this.#now(), timer }),
    );
    options.transport.listen(
      (local, remote, data) => {
        if (!this.#closed && !this.#received(local, remote, data)) this.#dropped++;
      },
      () => this.#queue.crowding,
    );
    options.dataPlane.listen((event: DataPlaneEvent) => this.#feed({ on: "dataplane", now: this.#now(), event }));
  }

  /** Datagrams that were dropped because the engine was busy, or because their sender had used up his share of it. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Holds the event loop for a moment at a time only, however many SAs there are. */
  status(): Promise<EngineStatus> {
    return inSlices(this.options.engine.statusSteps());
  }

  /** The same for who goes on with interruptions of his own: IKE SAs of configured peers are handed to `visit` and not listed. */
  statusSteps(visit: (sa: IkeStatus) => void): Generator<undefined, EngineStatus> {
    return this.options.engine.statusSteps(visit);
  }

  stands(peer: string): boolean {
    return this.options.engine.stands(peer);
  }

  /** As `status`. */
  policies(): Promise<readonly PolicyStatus[]> {
    return inSlices(this.options.engine.policySteps());
  }

  /** Addresses that peers gave this gateway. */
  virtualAddresses(): readonly IpAddress[] {
    return this.options.engine.virtualAddresses();
  }

  /** Who holds a virtual address that this gateway has given. */
  lessee(address: IpAddress): Lessee | undefined {
    return this.options.engine.lessee(address);
  }

  command(command: Command): void {
    this.#feed({ on: "command", now: this.#now(), command });
  }

  /**
   * Resolves when the engine has carried the command out on every IKE SA, after all that came before it, and the data plane has done
   * what came of it.
   */
  async carriedOut(command: Command): Promise<void> {
    if (this.#closed) return;
    const input: Input = { on: "command", now: this.#now(), command };
    const done = new Promise<void>((resolve) => this.#awaited.set(input, resolve));
    this.#feed(input);
    await done;
    await this.#workDone();
  }

  /** Links, addresses or routes have changed. */
  network(addresses: readonly IpAddress[]): void {
    this.#feed({ on: "network", now: this.#now(), addresses });
  }

  /** Takes over what an earlier run left in the data plane; before the first `configure`. */
  async adopt(): Promise<void> {
    const { sas, policies, addresses } = await this.options.dataPlane.adopt();
    this.#step({ on: "adopt", now: this.#now(), sas, policies, addresses });
    if (sas.length > 0)
      this.options.log.info({ sas: sas.length, policies: policies.length }, "took over SAs of an earlier run");
  }

  /** Resolves when every policy and route of the configuration is in place or refused, and every IKE SA has taken it over. One at a time. */
  async configure(config: IkeConfig): Promise<ConfigOutcome> {
    const failures: Refused[] = [];
    this.#refused = failures;
    this.#step({ on: "config", now: this.#now(), config });
    await this.#workDone();
    this.#refused = undefined;
    return { failures };
  }

  /** Deletes all SAs at the peers and in the data plane; resolves when that was sent and done. */
  async shutdown(): Promise<void> {
    await this.carriedOut({ command: "shutdown" });
    while (this.#queue.length > 0) await new Promise(setImmediate);
    await this.#dataPlaneTail;
  }

  /** Resolves when nothing is left that is decided for an IKE SA and not done, and the data plane has done what came of it. */
  async #workDone(): Promise<void> {
    if (!this.#closed && this.options.engine.backlog > 0) {
      await new Promise<void>((resolve) => this.#workAwaited.push(resolve));
    }
    await this.#dataPlaneTail;
  }

  close(): void {
    this.#closed = true;
    this.#timers.clear();
    for (const resolve of this.#awaited.values()) resolve();
    this.#awaited.clear();
    this.#tellWorkDone();
  }

  #tellWorkDone(): void {
    const waiting = this.#workAwaited;
    this.#workAwaited = [];
    for (const resolve of waiting) resolve();
  }

  #now(): number {
    return this.options.clock.now();
  }

  #feed(input: Input): void {
    if (this.#closed) return;
    this.#queue.push(input);
    if (!this.#draining) this.#drain();
  }

  /** False when it is dropped. */
  #received(local: Endpoint, remote: Endpoint, data: Uint8Array): boolean {
    const now = this.#now();
    const owner = this.options.engine.owner(data);
    if (!this.#budget.allows(now, owner)) return false;
    const about = { on: "datagram", now, local, remote } as const;
    if (owner === undefined && !this.#draining && this.#queue.length === 0 && now < this.#slice()) {
      // Not copied, because it does not wait and of a stranger the engine copies what it keeps: in a flood nothing.
      this.#drain({ input: { ...about, datagram: data }, owner });
      return true;
    }
    // Copied: it may wait in the queue, and its memory is the socket's.
    const input = { ...about, datagram: Buffer.from(data) };
    const taken = owner === undefined ? this.#queue.offerStranger(input) : this.#queue.offer(input, owner);
    if (taken && !this.#draining) this.#drain();
    return taken;
  }

  /** Works off inputs for one slice in every turn of the event loop, however many callbacks that turn has. */
  #drain(first?: Waiting): void {
    const until = this.#slice();
    this.#draining = true;
    try {
      let now = this.#now();
      let next = first ?? (now < until ? this.#queue.shift() : undefined);
      while (next) {
        const { input, owner } = next;
        if (input.on !== "datagram") this.#step(input);
        else if (this.#budget.allows(now, owner)) {
          this.#step(input);
          this.#budget.spent(owner, this.#now() - now);
        } else this.#dropped++;
        now = this.#now();
        next = now < until ? this.#queue.shift() : undefined;
      }
    } finally {
      this.#draining = false;
    }
  }

  #slice(): number {
    if (this.#sliceEnds !== undefined) return this.#sliceEnds;
    setImmediate(() => {
      this.#sliceEnds = undefined;
      if (!this.#closed && this.#queue.length > 0) this.#drain();
    });
    this.#sliceEnds = this.#now() + SLICE_MS;
    return this.#sliceEnds;
  }

  /** One input must never end the process: what the engine throws is a defect, logged, and that input is lost. */
  #step(input: Input): void {
    const refused = input.on === "config" || isBacklog(input) ? this.#refused : undefined;
    try {
      let changes = false;
      for (const effect of this.options.engine.handle(input)) {
        changes ||= effect.do === "dataplane";
        // What a peer is told, e.g. that it may take an SA away, has to hold by then.
        if (changes && effect.do === "send")
          this.#dataPlaneTail = this.#dataPlaneTail.then(() => this.#sendLate(effect, input));
        else this.#carryOut(effect, refused);
      }
    } catch (error) {
      this.#failed(error, input);
    }
    this.#awaited.get(input)?.();
    this.#awaited.delete(input);
    if (this.#workAwaited.length > 0 && this.options.engine.backlog === 0) this.#tellWorkDone();
  }

  #sendLate(effect: Extract<Effect, { do: "send" }>, input: Input): void {
    try {
      this.#carryOut(effect);
    } catch (error) {
      this.#failed(error, input);
    }
  }

  #failed(error: unknown, input: Input): void {
    if (this.#now() - this.#loggedAt < LOG_EVERY_MS) return;
    this.#loggedAt = this.#now();
    this.options.log.error({ err: error, input: input.on }, "the engine failed on an input");
  }

  #carryOut(effect: Effect, refused?: Refused[]): void {
    switch (effect.do) {
      case "send":
        this.options.transport.send(effect.local, effect.remote, effect.datagram);
        return;
      case "keepalive":
        this.options.transport.keepalive(effect.local, effect.remote);
        return;
      case "arm":
        this.#timers.arm(effect.timer, effect.at);
        return;
      case "disarm":
        this.#timers.disarm(effect.timer);
        return;
      case "emit":
        this.options.onEvent(effect.event);
        return;
      case "trace":
        this.options.onTrace(effect);
        return;
      case "route":
        void this.#route(effect.id, effect.remotes);
        return;
      case "crypto":
        this.#crypto(effect.id, effect.job);
        return;
      case "dataplane":
        this.#dataPlaneTail = this.#dataPlaneTail.then(() => this.#dataPlane(effect.id, effect.ops, refused));
        return;
    }
  }

  async #route(id: number, remotes: readonly IpAddress[]): Promise<void> {
    const ask = this.options.localAddressFor ?? localAddressFor;
    const sources = await Promise.all(remotes.map((r) => ask(r).catch(() => undefined)));
    this.#feed({ on: "routed", now: this.#now(), id, sources });
  }

  #crypto(id: number, job: CryptoJob): void {
    const done = (answer: CryptoAnswer) =>
      this.#feed(
        answer.ok
          ? { on: "crypto-done", now: this.#now(), id, result: answer.result }
          : { on: "failed", now: this.#now(), id, at: 0, failure: answer.failure },
      );
    const answer = this.options.crypto.run(job);
    if (answer instanceof Promise)
      answer.then(done, (error: unknown) => done({ ok: false, failure: failureOf(error) }));
    else done(answer);
  }

  async #dataPlane(id: number, ops: readonly DataPlaneOp[], refused: Refused[] | undefined): Promise<void> {
    try {
      await this.#callAll(id, ops, refused);
    } finally {
      wipeHandedOver(ops);
    }
  }

  async #callAll(id: number, ops: readonly DataPlaneOp[], refused: Refused[] | undefined): Promise<void> {
    const values: unknown[] = [];
    for (const op of ops) {
      try {
        values.push(await call(this.options.dataPlane, op));
      } catch (error) {
        const failure = failureOf(error);
        refused?.push({ ...failure, op });
        this.options.log.warn({ op: op.op, ...failure }, `the data plane refused ${op.op}: ${failure.message}`);
        if (id === 0) continue;
        this.#feed({ on: "failed", now: this.#now(), id, at: values.length, failure });
        return;
      }
    }
    if (id !== 0) this.#feed({ on: "dataplane-done", now: this.#now(), id, values });
  }
}

function isBacklog(input: Input): boolean {
  return input.on === "timer" && input.timer === BACKLOG_TIMER;
}

function call(dataPlane: DataPlane, op: DataPlaneOp): Promise<unknown> {
  const method = dataPlane[op.op] as (...args: readonly unknown[]) => Promise<unknown>;
  return method.apply(dataPlane, [...op.args]);
}
