import { release } from "node:os";
import { Repeats } from "@sallyport/base";
import { Severity } from "@sallyport/contract";
import type { IkeEvent } from "@sallyport/ike";
import type { GatewayIntent } from "@sallyport/intent";
import { renew, renewalDue, withControl } from "../enrol/index.js";
import { type Enrolment, type EnrolmentStore, IntentStore, RevocationStore } from "../store/index.js";
import {
  ControlChannel,
  changesBetween,
  IntentKeeper,
  Reporter,
  RevocationKeeper,
  type Snapshot,
} from "../stream/index.js";
import type { Daemon } from "./daemon.js";
import { describe } from "./describe.js";
import { Pace } from "./pace.js";
import { RemoteCommands } from "./remote-commands.js";
import { Sightings } from "./sightings.js";
import { inSlices, timeInSlices } from "./slices.js";

const SEVERITY = { info: Severity.INFO, warning: Severity.WARNING, error: Severity.ERROR } as const;
/** Who is refused tries again: the same is told ever rarer, so that a flood of it pushes out nothing else. */
const REFUSALS = { windowMs: 60_000, kinds: 64, subjects: 16 } as const;
/** Changes that come together are told together. */
const COALESCE_MS = 20;
const RENEWAL_CHECK_MS = 3_600_000;
/** Within which an answer is on its way. */
const ANSWER_MS = 200;

export interface SessionOptions {
  readonly daemon: Daemon;
  readonly enrolment: Enrolment;
  readonly store: EnrolmentStore;
  readonly agentVersion: string;
}

/** An enrolled gateway's life with its control plane: intents come in, states, counters and events go out. */
export class Session {
  readonly #reporter = new Reporter();
  readonly #keeper: IntentKeeper;
  readonly #revocations: RevocationKeeper;
  readonly #channel: ControlChannel;
  readonly #commands: RemoteCommands;
  readonly #refusals = new Repeats(REFUSALS);
  readonly #sightings: Sightings;
  #enrolment: Enrolment;
  /** Changes of the enrolment come one after the other: each writes all of it. */
  #enrolling: Promise<void> = Promise.resolve();
  /** What was told last. */
  #told: Snapshot = new Map();
  /** States are told of all SAs, of which there may be thousands. */
  readonly #pace = new Pace(COALESCE_MS, timeInSlices);
  readonly #countersPace = new Pace(0, timeInSlices);
  #telling: Promise<void> = Promise.resolve();
  #stateTimer: NodeJS.Timeout | undefined;
  #countersTimer: NodeJS.Timeout | undefined;
  #renewalTimer: NodeJS.Timeout | undefined;
  #reconnectTimer: NodeJS.Timeout | undefined;

  constructor(private readonly options: SessionOptions) {
    const { daemon, agentVersion } = options;
    this.#enrolment = options.enrolment;
    this.#sightings = new Sightings(daemon.credentials, this.#reporter);
    this.#commands = new RemoteCommands(daemon, (chain) => this.#inTurn(() => this.#useControl(chain)));
    this.#keeper = new IntentKeeper({
      store: new IntentStore(daemon.options.stateDir),
      reporter: this.#reporter,
      log: daemon.log,
      apply: (intent) => this.#apply(intent),
      clear: () => daemon.clear(),
    });
    this.#revocations = new RevocationKeeper({
      store: new RevocationStore(daemon.options.stateDir),
      reporter: this.#reporter,
      log: daemon.log,
      apply: (verdicts) => daemon.judge(verdicts),
    });
    this.#channel = new ControlChannel({
      enrolment: () => this.#enrolment,
      agentVersion,
      dataPlane: { ...this.#dataPlane() },
      intents: this.#keeper,
      revocations: this.#revocations,
      reporter: this.#reporter,
      restart: (sasApart) => this.#tellAll((all) => this.#reporter.restart(all, sasApart)),
      resync: () => this.#tellAll((all) => this.#reporter.resync(all)),
      onCommand: (action) => this.#commands.run(action),
      log: daemon.log,
    });
    daemon.onEvent((event) => this.#event(event));
    daemon.onChange = () => this.#tellSoon();
  }

  get connected(): boolean {
    return this.#channel.connected;
  }

  /** The gateway needs only its last good intent; before it answers anyone by it, it hears whom not to, if there is who tells it. */
  async start(): Promise<void> {
    await this.#revocations.start();
    await this.#keeper.load();
    const inForce = this.#keeper.start(this.#revocations.heard());
    this.#channel.start();
    await inForce;
    this.#scheduleCounters();
    this.#renewalTimer = setInterval(() => void this.#inTurn(() => this.#renewWhenDue()), RENEWAL_CHECK_MS).unref();
    await this.#inTurn(() => this.#renewWhenDue());
  }

  async stop(): Promise<void> {
    clearTimeout(this.#stateTimer);
    clearTimeout(this.#countersTimer);
    clearInterval(this.#renewalTimer);
    clearTimeout(this.#reconnectTimer);
    await this.#channel.stop();
    await this.#commands.close();
  }

  async #apply(intent: GatewayIntent): Promise<void> {
    await this.options.daemon.apply(intent);
    void this.#tellStates();
  }

  #dataPlane() {
    const { capabilities } = this.options.daemon.gateway.carrier.dataPlane;
    return {
      kind: capabilities.name === "kernel" ? "xfrm" : capabilities.name,
      encryption: [...capabilities.encryption],
      integrity: [...capabilities.integrity],
      esn: true,
      udpEncapsulation: true,
      kernelRelease: release(),
    };
  }

  #event(event: IkeEvent): void {
    const { severity, refusal, ...described } = describe(event);
    const at = Date.now();
    if (event.event === "ike-up") this.#sightings.up(event, at);
    const told = refusal && this.#refusals.add(`${event.peer ?? ""} ${described.code}`, refusal.identity, at);
    if (!refusal || told) {
      this.#reporter.event({
        ...described,
        severity: SEVERITY[severity],
        tunnelId: event.peer,
        // Of more than are told apart, nobody is named.
        refusal: refusal && told && { ...refusal, identity: told.subject ?? "", times: told.fresh },
        at,
      });
    }
    this.#tellSoon();
  }

  #tellSoon(): void {
    this.#stateTimer ??= setTimeout(() => void this.#tellStates(), this.#pace.pause);
  }

  /** States are read and told one time after the other: an older one never stands for a newer one. */
  #inOrder(tell: () => Promise<void>): Promise<void> {
    const done = this.#telling.then(tell);
    this.#telling = done.catch((err: unknown) =>
      this.options.daemon.log.warn({ err }, "the states of tunnels could not be read"),
    );
    return done;
  }

  #tellAll(tell: (all: Snapshot) => void): Promise<void> {
    return this.#inOrder(async () => {
      this.#sightings.own(Date.now());
      const all = await this.options.daemon.gateway.states(this.#told);
      tell(all);
      this.#told = all;
    });
  }

  async #tellStates(): Promise<void> {
    clearTimeout(this.#stateTimer);
    this.#stateTimer = undefined;
    await this.#inOrder(() => this.#pace.do(() => this.#tellChanges())).catch(() => {});
  }

  async #tellChanges(): Promise<void> {
    this.#sightings.own(Date.now());
    const now = await this.options.daemon.gateway.states(this.#told);
    const changes = await inSlices(changesBetween(this.#told, now));
    await inSlices(this.#reporter.states(changes, now));
    this.#told = now;
  }

  #scheduleCounters(): void {
    const seconds = this.options.daemon.gateway.intent?.options.reportSeconds ?? 5;
    this.#countersTimer = setTimeout(
      () => void this.#countersPace.do(() => this.#tellCounters()).finally(() => this.#scheduleCounters()),
      Math.max(seconds * 1000, this.#countersPace.pause),
    );
  }

  async #tellCounters(): Promise<void> {
    if (!this.connected) return;
    const { gateway, log } = this.options.daemon;
    try {
      const counters = await gateway.counters();
      if (counters.length > 0) this.#reporter.counters(Date.now(), counters);
    } catch (err) {
      log.warn({ err }, "the counters could not be read");
    }
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#enrolling.then(work);
    this.#enrolling = done.catch(() => {});
    return done;
  }

  /** The stream is opened anew with it as soon as the answer is out. */
  async #useControl(chain: readonly Uint8Array[]): Promise<void> {
    const { daemon, store } = this.options;
    const changed = withControl(this.#enrolment, chain, daemon.requested);
    if (changed === undefined) return;
    await store.save(changed);
    this.#enrolment = changed;
    this.#reconnectTimer = setTimeout(() => this.#channel.reconnect(), ANSWER_MS).unref();
    daemon.log.info("the control channel's certificate was replaced");
  }

  async #renewWhenDue(): Promise<void> {
    const { daemon, store } = this.options;
    if (Date.now() < renewalDue(this.#enrolment)) return;
    try {
      this.#enrolment = await renew({ enrolment: this.#enrolment, store });
      daemon.credentials.load(this.#enrolment.identities);
      await daemon.gateway.refresh();
      this.#channel.reconnect();
      daemon.log.info("certificates renewed");
    } catch (err) {
      daemon.log.warn({ err }, "the certificates could not be renewed yet");
    }
  }
}
