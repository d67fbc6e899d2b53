import { setTimeout as sleep } from "node:timers/promises";
import { Inject, Injectable } from "@nestjs/common";
import type { CountersReport, EventsReport, StateReport } from "@sallyport/contract";
import { isOutage } from "../../platform/database/prisma-database.js";
import { LOG, type Log } from "../../platform/log/log.js";
import { type AgentEvent, EventService } from "../events/event.service.js";
import { type CounterReport, type TunnelReport, TunnelStateService } from "../tunnels/tunnel-state.service.js";
import { TokenBucket } from "./message-queue.js";
import { agentEvent, counterReport, tunnelReport } from "./report-mapping.js";

/** What one gateway has told and the database does not know yet. Newer news of a thing replaces older. */
interface Backlog {
  complete: boolean;
  tunnels: Map<string, TunnelReport>;
  removed: Set<string>;
  counters: Map<string, CounterReport>;
  countersAt: Date;
  events: AgentEvent[];
  dropped: number;
}

const MAX_TUNNELS = 10_000;
const MAX_COUNTERS = 20_000;
const MAX_EVENTS = 1_000;
/** In the long run, of one gateway: a thousand tunnels that come up at once, and a few that go up and down all day. */
const EVENTS_PER_SECOND = 1;
/** Gateways whose news are written at the same time; the database's pool is for others too. */
const WRITERS = 4;
const RETRY_MS = 500;

const empty = (): Backlog => ({
  complete: false,
  tunnels: new Map(),
  removed: new Set(),
  counters: new Map(),
  countersAt: new Date(0),
  events: [],
  dropped: 0,
});

/**
 * Writes what agents report. Taking a report costs no query and never waits: reports of a gateway that come while its last ones are
 * being written are merged, and while the database is away they wait here, bounded.
 */
@Injectable()
export class ReportIngest {
  readonly #waiting = new Map<string, Backlog>();
  readonly #writing = new Set<string>();
  /** They outlive streams: an agent that connects again has no more. */
  readonly #eventBuckets = new Map<string, TokenBucket>();
  #stopped = false;

  constructor(
    private readonly tunnels: TunnelStateService,
    private readonly events: EventService,
    @Inject(LOG) private readonly log: Log,
  ) {}

  state(gatewayId: string, report: StateReport): void {
    const backlog = this.#backlog(gatewayId);
    if (report.complete) {
      backlog.complete = true;
      backlog.tunnels.clear();
      backlog.removed.clear();
    }
    const now = new Date();
    for (const id of report.removedTunnelIds) {
      backlog.tunnels.delete(id);
      if (backlog.removed.size < MAX_TUNNELS) backlog.removed.add(id);
    }
    for (const state of report.tunnels) {
      const tunnel = tunnelReport(state, now);
      backlog.removed.delete(tunnel.key);
      if (backlog.tunnels.size < MAX_TUNNELS || backlog.tunnels.has(tunnel.key))
        backlog.tunnels.set(tunnel.key, tunnel);
    }
    this.#start();
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
    backlog.events.push(...report.events.slice(refused).map((e) => agentEvent(e, now)));
    const over = backlog.events.length - MAX_EVENTS;
    if (over > 0) backlog.events.splice(0, over);
    backlog.dropped += Math.max(over, 0) + refused + report.dropped;
    this.#start();
  }

  /** What was not written yet is lost; agents report everything anew when they connect again. */
  stop(): void {
    this.#stopped = true;
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

  /** Parts that are written are taken out, so that a retry does the rest. */
  async #store(gatewayId: string, backlog: Backlog): Promise<void> {
    if (backlog.complete || backlog.tunnels.size > 0 || backlog.removed.size > 0) {
      const options = { complete: backlog.complete, removedKeys: [...backlog.removed] };
      await this.tunnels.report(gatewayId, [...backlog.tunnels.values()], options);
      backlog.complete = false;
      backlog.tunnels.clear();
      backlog.removed.clear();
    }
    if (backlog.counters.size > 0) {
      await this.tunnels.counters(gatewayId, backlog.countersAt, [...backlog.counters.values()]);
      backlog.counters.clear();
    }
    if (backlog.dropped > 0) this.log.warn({ gatewayId, dropped: backlog.dropped }, "events of a gateway were lost");
    backlog.dropped = 0;
    if (backlog.events.length > 0) {
      await this.events.fromAgent(gatewayId, backlog.events);
      backlog.events = [];
    }
  }
}
