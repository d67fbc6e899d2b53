import { setTimeout as sleep } from "node:timers/promises";
import { Inject, Injectable } from "@nestjs/common";
import { type Fault, Repeats } from "@sallyport/base";
import type { CertificatesReport, CountersReport, EventsReport, StateReport } from "@sallyport/contract";
import { isOutage } from "../../platform/database/prisma-database.js";
import { LOG, type Log } from "../../platform/log/log.js";
import { TokenBucket } from "../../platform/token-bucket.js";
import { REFUSAL_LIMITS } from "../audit/refusal.js";
import { CertificateSightings, type Sighting } from "../certificates/sightings.service.js";
import { type AgentEvent, EventService } from "../events/event.service.js";
import { type CounterReport, type StateBatch, TunnelStateService } from "../tunnels/tunnel-state.service.js";
import { fault } from "./faults.js";
import { agentEvent, counterReport, sightingReport } from "./report-mapping.js";
import { StateBacklog } from "./state-backlog.js";

/** Whose report it is, and on which of its streams. */
export interface ReportSource {
  readonly gatewayId: string;
  readonly streamId: string;
}

/** What the agent of a stream is told of its reports. */
export interface ReportingAgent {
  /** It shall report all its states anew. */
  resync(): void;
  /** A part of its states is not kept. */
  refused(problem: Fault): void;
}

/** States of one stream. They are written once the database knows the stream as the gateway's newest. */
interface Stream {
  readonly backlog: StateBacklog;
  /** Taken out of the backlog, and not written yet. */
  batch: StateBatch | undefined;
  /** Undefined while the stream is not open. */
  agent: ReportingAgent | undefined;
  /** The agent knows that a part of its states is not kept. */
  refused: boolean;
  /** When the next resync may be asked for, `performance.now()`. */
  resyncAt: number;
  ended: boolean;
  /** Goes on with reading the stream. */
  goOn: (() => void) | undefined;
}

/** What else one gateway has told and the database does not know yet. Newer counters of an SA replace older ones. */
interface Backlog {
  counters: Map<string, CounterReport>;
  countersAt: Date;
  events: AgentEvent[];
  dropped: number;
  certificates: Sighting[];
}

const MAX_COUNTERS = 20_000;
const MAX_EVENTS = 1_000;
/** In the long run, of one gateway: a thousand tunnels that come up at once, and a few that go up and down all day. */
const EVENTS_PER_SECOND = 1;
/** Certificates that wait to be written; in the long run, of one gateway; and those that are read without an interruption. */
const MAX_CERTIFICATES = 512;
const CERTIFICATES_PER_SECOND = 1;
const CERTIFICATES_AT_ONCE = 16;
/** Gateways whose news are written at the same time; the database's pool is for others too. */
const WRITERS = 4;
const RETRY_MS = 500;
/** How long a message waits for room while the database is slow or away: the pings behind it have to be answered in time. */
const ROOM_MS = 2_000;
/** Counters that one statement writes. */
const COUNTERS_AT_ONCE = 500;
/** An agent whose reports cannot be written does not tell them again without end. */
const RESYNC_MS = 30_000;
/** Within this time an agent has told what an intent changed. */
const TELLING_MS = 2_000;

const empty = (): Backlog => ({
  counters: new Map(),
  countersAt: new Date(0),
  events: [],
  dropped: 0,
  certificates: [],
});

/**
 * Writes what agents report. Taking a report costs no query and never waits: reports of a gateway that come while its last ones are
 * being written are merged, and while the database is away they wait here, bounded.
 */
@Injectable()
export class ReportIngest {
  readonly #waiting = new Map<string, Backlog>();
  /** By gateway and stream: one, and two for a moment after an agent connected again. */
  readonly #streams = new Map<string, Map<string, Stream>>();
  readonly #writing = new Set<string>();
  /** They outlive streams: an agent that connects again has no more. */
  readonly #eventBuckets = new Map<string, TokenBucket>();
  readonly #certificateBuckets = new Map<string, TokenBucket>();
  readonly #refusals = new Map<string, Repeats>();
  #stopped = false;

  constructor(
    private readonly tunnels: TunnelStateService,
    private readonly events: EventService,
    private readonly sightings: CertificateSightings,
    @Inject(LOG) private readonly log: Log,
  ) {}

  /** The stream is the gateway's newest as far as the database knows. */
  opened(source: ReportSource, agent: ReportingAgent): void {
    const waits = this.#streams.get(source.gatewayId)?.has(source.streamId);
    this.#stream(source).agent = agent;
    if (waits) this.#wanted(source.gatewayId);
  }

  /** What a stream told before it was opened is of no use: the next one begins with a complete report. */
  ended({ gatewayId, streamId }: ReportSource): void {
    const stream = this.#streams.get(gatewayId)?.get(streamId);
    if (stream === undefined) return;
    if (stream.agent === undefined) this.#forget({ gatewayId, streamId });
    stream.ended = true;
    stream.goOn?.();
    this.#wanted(gatewayId);
  }

  state(source: ReportSource, report: StateReport): void {
    const stream = this.#stream(source);
    const { lost } = stream.backlog;
    stream.backlog.take(report, new Date());
    if (stream.backlog.lost && !lost) this.#askAnew(source, stream, "more than can be kept");
    this.#wanted(source.gatewayId);
  }

  /**
   * The agent has put an intent in force. A tunnel that was made anew with the key of one before has not changed for it: it tells nothing of
   * its own accord, and is asked.
   */
  applied(source: ReportSource): void {
    setTimeout(() => void this.#askUntold(source), TELLING_MS).unref();
  }

  /** Resolves when the stream's next message may be read: at once, or when enough of what it told is written. */
  async room({ gatewayId, streamId }: ReportSource): Promise<void> {
    const stream = this.#streams.get(gatewayId)?.get(streamId);
    for (const until = performance.now() + ROOM_MS; stream?.backlog.ample && !stream.ended && !this.#stopped; ) {
      const left = until - performance.now();
      if (left <= 0) return;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        stream.goOn = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      stream.goOn = undefined;
    }
  }

  counters(gatewayId: string, report: CountersReport): void {
    const backlog = this.#backlog(gatewayId);
    backlog.countersAt = new Date();
    for (const child of report.children) {
      const counter = counterReport(child);
      const key = `${counter.key} ${counter.inboundSpi}`;
      if (backlog.counters.size < MAX_COUNTERS || backlog.counters.has(key)) backlog.counters.set(key, counter);
    }
    this.#start();
  }

  /** When there are too many at once or in the long run, the oldest go first and are counted. */
  event(gatewayId: string, report: EventsReport): void {
    const backlog = this.#backlog(gatewayId);
    const now = new Date();
    const bucket =
      this.#eventBuckets.get(gatewayId) ?? new TokenBucket(MAX_EVENTS, EVENTS_PER_SECOND, performance.now());
    this.#eventBuckets.set(gatewayId, bucket);
    const refused = report.events.length - bucket.takeUpTo(report.events.length, performance.now());
    backlog.events.push(...report.events.slice(refused).map((e) => this.#judged(gatewayId, agentEvent(e, now))));
    const over = backlog.events.length - MAX_EVENTS;
    if (over > 0) backlog.events.splice(0, over);
    backlog.dropped += Math.max(over, 0) + refused + report.dropped;
    this.#start();
  }

  /** Those beyond what is taken are told again some time. */
  certificates(gatewayId: string, { certificates }: CertificatesReport): void {
    const backlog = this.#backlog(gatewayId);
    const at = performance.now();
    const bucket =
      this.#certificateBuckets.get(gatewayId) ?? new TokenBucket(MAX_CERTIFICATES, CERTIFICATES_PER_SECOND, at);
    this.#certificateBuckets.set(gatewayId, bucket);
    const taken = certificates.slice(0, bucket.takeUpTo(certificates.length, at));
    const now = new Date();
    backlog.certificates.push(...taken.flatMap((seen) => sightingReport(seen, now)));
    backlog.certificates.splice(0, backlog.certificates.length - MAX_CERTIFICATES);
    this.#start();
  }

  /** With whether it is to be audited. It is judged here, once, whatever becomes of the transaction that writes it. */
  #judged(gatewayId: string, event: AgentEvent): AgentEvent {
    if (event.refusal === undefined) return event;
    const refusals = this.#refusals.get(gatewayId) ?? new Repeats(REFUSAL_LIMITS);
    this.#refusals.set(gatewayId, refusals);
    const { who = "", times } = event.refusal;
    return { ...event, audit: refusals.add(event.kind, who, Date.now(), times) };
  }

  /** What was not written yet is lost; agents report everything anew when they connect again. */
  stop(): void {
    this.#stopped = true;
  }

  #stream({ gatewayId, streamId }: ReportSource): Stream {
    const streams = this.#streams.get(gatewayId) ?? new Map<string, Stream>();
    this.#streams.set(gatewayId, streams);
    const stream = streams.get(streamId) ?? {
      ...{
        backlog: new StateBacklog(),
        batch: undefined,
        agent: undefined,
        refused: false,
        resyncAt: 0,
        ended: false,
        goOn: undefined,
      },
    };
    streams.set(streamId, stream);
    return stream;
  }

  async #askUntold(source: ReportSource): Promise<void> {
    const stream = () => this.#streams.get(source.gatewayId)?.get(source.streamId);
    try {
      if (this.#stopped || !stream() || !(await this.tunnels.untold(source.gatewayId))) return;
    } catch (err) {
      this.log.warn({ err, gatewayId: source.gatewayId }, "whether tunnels are untold was not to be found out");
      return;
    }
    const still = stream();
    if (still) this.#askAnew(source, still, "it has told nothing of a tunnel");
  }

  #refuse(stream: Stream): void {
    if (stream.refused) return;
    stream.refused = true;
    stream.agent?.refused(fault("agents/too-many-sas", "more SAs than the control plane keeps of one gateway"));
  }

  #askAnew({ gatewayId }: ReportSource, stream: Stream, why: string): void {
    const now = performance.now();
    const wait = Math.max(0, stream.resyncAt - now);
    stream.resyncAt = now + wait + RESYNC_MS;
    this.log.warn({ gatewayId, why, wait }, "a gateway is asked to tell its states anew");
    setTimeout(() => {
      if (!stream.ended && !this.#stopped) stream.agent?.resync();
    }, wait).unref();
  }

  #wanted(gatewayId: string): void {
    this.#backlog(gatewayId);
    this.#start();
  }

  #backlog(gatewayId: string): Backlog {
    const backlog = this.#waiting.get(gatewayId) ?? empty();
    this.#waiting.set(gatewayId, backlog);
    return backlog;
  }

  #start(): void {
    for (const gatewayId of this.#waiting.keys()) {
      if (this.#writing.size >= WRITERS) return;
      if (!this.#writing.has(gatewayId)) void this.#write(gatewayId);
    }
  }

  async #write(gatewayId: string): Promise<void> {
    const backlog = this.#waiting.get(gatewayId);
    if (backlog === undefined || this.#stopped) return;
    this.#waiting.delete(gatewayId);
    this.#writing.add(gatewayId);
    for (;;) {
      try {
        await this.#store(gatewayId, backlog);
        break;
      } catch (err) {
        if (!isOutage(err)) {
          this.log.error({ err, gatewayId }, "a gateway's reports could not be written and are dropped");
          break;
        }
        await sleep(RETRY_MS);
        if (this.#stopped) break;
      }
    }
    this.#writing.delete(gatewayId);
    this.#start();
  }

  async #storeStates(gatewayId: string): Promise<void> {
    for (const [streamId, stream] of this.#streams.get(gatewayId) ?? []) {
      while (stream.agent !== undefined && !this.#stopped) {
        stream.batch ??= stream.backlog.next();
        if (stream.batch === undefined) break;
        await this.#storeBatch({ gatewayId, streamId }, stream, stream.batch);
        stream.batch = undefined;
        stream.goOn?.();
      }
      if (stream.ended) this.#forget({ gatewayId, streamId });
    }
  }

  #forget({ gatewayId, streamId }: ReportSource): void {
    const streams = this.#streams.get(gatewayId);
    streams?.delete(streamId);
    if (streams?.size === 0) this.#streams.delete(gatewayId);
  }

  /** Rejects when the database is away. */
  async #storeBatch(source: ReportSource, stream: Stream, batch: StateBatch): Promise<void> {
    try {
      const outcome = await this.tunnels.report(source.gatewayId, source.streamId, batch);
      if (outcome === "replaced") stream.backlog.lose();
      else if (outcome === "in-part") this.#refuse(stream);
      else if (outcome === "room") {
        stream.refused = false;
        this.#askAnew(source, stream, "there was no room for all of them");
      }
    } catch (err) {
      if (isOutage(err)) throw err;
      this.log.error({ err, gatewayId: source.gatewayId }, "states of a gateway could not be written and are dropped");
      stream.backlog.lose();
      if (stream.backlog.lost) this.#askAnew(source, stream, "they could not be written");
    }
  }

  /** Parts that are written are taken out, so that a retry does the rest. */
  async #store(gatewayId: string, backlog: Backlog): Promise<void> {
    await this.#storeStates(gatewayId);
    const counters = [...backlog.counters];
    for (let from = 0; from < counters.length; from += COUNTERS_AT_ONCE) {
      const some = counters.slice(from, from + COUNTERS_AT_ONCE);
      const values = some.map(([, counter]) => counter);
      await this.tunnels.counters(gatewayId, backlog.countersAt, values);
      for (const [key] of some) backlog.counters.delete(key);
    }
    if (backlog.dropped > 0) this.log.warn({ gatewayId, dropped: backlog.dropped }, "events of a gateway were lost");
    backlog.dropped = 0;
    if (backlog.events.length > 0) {
      await this.events.fromAgent(gatewayId, backlog.events);
      backlog.events = [];
    }
    while (backlog.certificates.length > 0) {
      await this.sightings.take(gatewayId, backlog.certificates.slice(0, CERTIFICATES_AT_ONCE));
      backlog.certificates.splice(0, CERTIFICATES_AT_ONCE);
    }
  }
}
