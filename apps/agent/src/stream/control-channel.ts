import { setTimeout as sleep } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { isFault } from "@sallyport/base";
import {
  type AgentMessage,
  AgentMessageSchema,
  AgentService,
  CONTRACT_VERSION,
  CONTROL_PLANE_NAME,
  type Command,
  type ControlMessage,
  type DataPlane,
  fromConnectError,
  type Goodbye,
  GoodbyeReason,
  type Hello,
  HelloSchema,
  MAX_CONTROL_MESSAGE_BYTES,
  toProblem,
} from "@sallyport/contract";
import { INTENT_SCHEMA } from "@sallyport/intent";
import type { Logger } from "pino";
import type { Enrolment } from "../store/index.js";
import { Backoff, RECONNECT } from "./backoff.js";
import { fault } from "./faults.js";
import type { IntentKeeper } from "./intent-keeper.js";
import type { Reporter } from "./reporter.js";
import type { RevocationKeeper } from "./revocation-keeper.js";

export interface ControlChannelOptions {
  /** Read at every attempt, so that renewed certificates are used from the next one on. */
  readonly enrolment: () => Enrolment;
  readonly agentVersion: string;
  readonly dataPlane: Omit<DataPlane, "$typeName" | "$unknown">;
  readonly intents: IntentKeeper;
  readonly revocations: RevocationKeeper;
  readonly reporter: Reporter;
  /** Gives the reporter every tunnel's state, for the complete report that opens a stream, with IKE SAs apart from tunnels or not. */
  readonly restart: (sasApart: boolean) => Promise<void>;
  /** The same on a stream that stands. */
  readonly resync: () => Promise<void>;
  /** Carries out a command of the control plane and gives what it asks for; what it throws becomes its result. */
  readonly onCommand: (action: NonNullable<Command["action"]>) => Promise<Uint8Array | undefined>;
  readonly onChange?: (connected: boolean) => void;
  readonly log: Logger;
}

/** Nothing heard for this long: the connection is dead, whatever TCP thinks. */
const SILENCE_MS = 15_000;
const DEFAULT_PING_MS = 5_000;
/** A stream that stood this long was no failed attempt. */
const STABLE_MS = 5_000;
/** Two agents with one identity would take turns for ever. */
const REPLACED_MS = 10_000;
const MAX_RETRY_AFTER_MS = 120_000;

/** The agent's one stream to its control plane, kept open for ever: over mutual TLS 1.3, to any of the known addresses. */
export class ControlChannel {
  readonly #startedAt = Date.now();
  readonly #stop = new AbortController();
  readonly #backoff = new Backoff();
  #connected = false;
  #running: Promise<void> | undefined;
  #reconnect: (() => void) | undefined;
  /** What was logged last, so that an outage is one line and not one a second. */
  #lastFailure = "";

  constructor(private readonly options: ControlChannelOptions) {}

  get connected(): boolean {
    return this.#connected;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.options.intents.stop();
    await this.#running;
  }

  /** Ends the present stream and opens another one, e.g. with a renewed certificate. */
  reconnect(): void {
    this.#reconnect?.();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    for (let attempt = 0; !signal.aborted; attempt++) {
      const { urls } = this.options.enrolment();
      const url = urls[attempt % urls.length] as string;
      const started = performance.now();
      let wait: number | undefined;
      try {
        wait = await this.#stream(url);
      } catch (error) {
        this.#report(url, error);
      }
      // Every address was tried: it is away.
      if (attempt + 1 >= urls.length) this.options.revocations.away();
      this.#setConnected(false);
      if (performance.now() - started > STABLE_MS) this.#backoff.reset();
      await sleep(wait ?? this.#backoff.next(), undefined, { signal }).catch(() => {});
    }
  }

  #report(url: string, error: unknown): void {
    if (this.#stop.signal.aborted) return;
    const failure = fromConnectError(error);
    const text = `${failure.code}: ${failure.message}`;
    const level = text === this.#lastFailure ? "debug" : "warn";
    this.#lastFailure = text;
    this.options.log[level]({ url, code: failure.code }, `no stream to the control plane: ${failure.message}`);
  }

  /** One stream from beginning to end. Gives how long to wait before the next one when the control plane said so. */
  async #stream(url: string): Promise<number | undefined> {
    const { controlCa, control } = this.options.enrolment();
    const session = new Http2SessionManager(
      url,
      {},
      {
        ca: controlCa,
        key: control.privateKey,
        cert: control.certificates,
        servername: CONTROL_PLANE_NAME,
        minVersion: "TLSv1.3",
      },
    );
    const ending = new AbortController();
    const end = (reason: Error) => ending.abort(reason);
    const stop = () => end(new Error("the agent stops"));
    this.#stop.signal.addEventListener("abort", stop, { once: true });
    this.#reconnect = () => end(new Error("a new connection is wanted"));
    const watch = new Watchdog(end);
    try {
      watch.within(
        RECONNECT.attempt,
        fault("stream/unreachable", `no answer within ${RECONNECT.attempt} ms`, { value: url }),
      );
      const transport = createGrpcTransport({
        baseUrl: url,
        sessionManager: session,
        readMaxBytes: MAX_CONTROL_MESSAGE_BYTES,
      });
      const outgoing = new Outgoing(this.options.reporter, this.#hello(), ending.signal);
      const incoming = createClient(AgentService, transport).connect(outgoing, { signal: ending.signal });
      return await this.#receive(incoming, outgoing, watch, url);
    } catch (error) {
      throw ending.signal.aborted && isFault(ending.signal.reason) ? ending.signal.reason : error;
    } finally {
      watch.clear();
      this.#stop.signal.removeEventListener("abort", stop);
      this.#reconnect = undefined;
      ending.abort();
      session.abort();
    }
  }

  async #receive(
    incoming: AsyncIterable<ControlMessage>,
    outgoing: Outgoing,
    watch: Watchdog,
    url: string,
  ): Promise<number | undefined> {
    const { intents, revocations, reporter, log } = this.options;
    for await (const { body } of incoming) {
      if (this.#connected) watch.within(SILENCE_MS, silent());
      switch (body.case) {
        case "welcome":
          watch.within(SILENCE_MS, silent());
          if (!body.value.tellsRevocations) revocations.away();
          await this.options.restart(body.value.sasApart);
          outgoing.open(body.value.pingIntervalMs || DEFAULT_PING_MS);
          log.info({ url, controlPlane: body.value.version }, "connected to the control plane");
          this.#lastFailure = "";
          this.#setConnected(true);
          break;
        case "revocations":
          void revocations.receive(body.value);
          break;
        case "intent":
          void intents.receive(body.value);
          break;
        case "confirm":
          void intents.confirm(body.value.revision);
          break;
        case "pong":
          reporter.ponged(body.value.sequence);
          break;
        case "command":
          void this.#command(body.value);
          break;
        case "resync":
          await this.options.resync();
          break;
        case "statesRefused":
          log.warn(
            { code: body.value.problem?.code },
            `the control plane does not keep all: ${body.value.problem?.message}`,
          );
          break;
        case "goodbye":
          return this.#goodbye(body.value);
        default:
          // A newer control plane may say what this version does not know.
          break;
      }
    }
    throw fault("stream/goodbye", "the control plane ended the stream");
  }

  #goodbye({ reason, message, retryAfterMs }: Goodbye): number | undefined {
    this.options.log.warn({ reason: GoodbyeReason[reason] }, `the control plane ends the stream: ${message}`);
    const wait = reason === GoodbyeReason.REPLACED ? REPLACED_MS : retryAfterMs;
    // Up to as much again, by chance: those who were told together shall not come back together.
    return wait > 0 ? Math.min(wait, MAX_RETRY_AFTER_MS) * (1 + Math.random()) : undefined;
  }

  async #command({ id, action }: Command): Promise<void> {
    const { reporter, onCommand } = this.options;
    try {
      const csr = await onCommand(action);
      reporter.answer({ case: "commandResult", value: { id, ok: true, ...(csr && { csr }) } });
    } catch (error) {
      reporter.answer({ case: "commandResult", value: { id, ok: false, problem: toProblem(error) } });
    }
  }

  #hello(): Hello {
    const { enrolment, agentVersion, dataPlane, intents, revocations } = this.options;
    return create(HelloSchema, {
      agentVersion,
      contractVersion: CONTRACT_VERSION,
      gatewayId: enrolment().gatewayId,
      runningRevision: intents.running,
      confirmedRevision: intents.confirmed,
      refusedRevisions: [...intents.refused],
      dataPlane: { ...dataPlane },
      intentSchemaVersions: [INTENT_SCHEMA],
      startedAt: timestampFromMs(this.#startedAt),
      revocationsUpTo: revocations.upTo,
    });
  }

  #setConnected(connected: boolean): void {
    if (connected === this.#connected) return;
    this.#connected = connected;
    this.options.onChange?.(connected);
  }
}

const silent = () => fault("stream/silent", `the control plane was silent for ${SILENCE_MS} ms`);

/** Ends a stream on which nothing came in time. */
class Watchdog {
  #timer: NodeJS.Timeout | undefined;

  constructor(private readonly end: (reason: Error) => void) {}

  within(ms: number, otherwise: Error): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.end(otherwise), ms);
  }

  clear(): void {
    clearTimeout(this.#timer);
  }
}

/** What is sent on one stream: the hello, then, once welcomed, whatever the reporter has, and pings. */
class Outgoing implements AsyncIterable<AgentMessage> {
  #open: (() => void) | undefined;
  readonly #opened = new Promise<void>((resolve) => {
    this.#open = resolve;
  });
  #pingMs = DEFAULT_PING_MS;

  constructor(
    private readonly reporter: Reporter,
    private readonly hello: Hello,
    private readonly signal: AbortSignal,
  ) {}

  open(pingMs: number): void {
    this.#pingMs = pingMs;
    this.#open?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<AgentMessage> {
    yield create(AgentMessageSchema, { body: { case: "hello", value: this.hello } });
    await Promise.race([this.#opened, aborted(this.signal)]);
    let nextPing = performance.now() + this.#pingMs;
    for (let sequence = 0; !this.signal.aborted; ) {
      const wait = nextPing - performance.now();
      const message = wait > 0 ? this.reporter.next() : undefined;
      if (message !== undefined) {
        yield message;
        // Written without waiting where there is room: many in one turn would hold the event loop.
        await new Promise(setImmediate);
      } else if (wait > 0) {
        await this.reporter.waiting(AbortSignal.any([this.signal, AbortSignal.timeout(Math.ceil(wait))]));
      } else {
        nextPing = performance.now() + this.#pingMs;
        this.reporter.pinged(++sequence);
        yield create(AgentMessageSchema, { body: { case: "ping", value: { sequence } } });
      }
    }
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
