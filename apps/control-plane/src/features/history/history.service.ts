import { Inject, Injectable } from "@nestjs/common";
import { CONFIG, type Config } from "../../platform/config/config.js";
import { apiFault } from "../../platform/faults.js";
import type { TunnelState } from "../../platform/prisma/generated/enums.js";
import type { TenantContext } from "../../platform/tenancy.js";
import { TunnelService } from "../tunnels/tunnel.service.js";
import { HistoryStore, type Sample } from "./history.store.js";
import { floorTo, later, STEPS, type Step } from "./steps.js";

export const HISTORY_RESOLUTIONS = ["MINUTE", "FIVE_MINUTES", "HOUR"] as const;
export type HistoryResolution = (typeof HISTORY_RESOLUTIONS)[number];

const SECONDS: Readonly<Record<HistoryResolution, number>> = { MINUTE: 60, FIVE_MINUTES: 300, HOUR: 3_600 };

export interface HistoryRange {
  readonly from: Date;
  readonly to?: Date | null | undefined;
  readonly resolution?: HistoryResolution | null | undefined;
}

/** Of one end. */
export const MAX_POINTS = 1_500;
/** As many as a chart is wide. */
const ENOUGH_POINTS = 500;

export interface Point extends Omit<Sample, "endId" | "covered" | "known" | "up" | "degraded"> {
  readonly state: TunnelState | null;
  readonly availability: number | null;
  readonly bytesInPerSecond: number | null;
  readonly bytesOutPerSecond: number | null;
  readonly packetsInPerSecond: number | null;
  readonly packetsOutPerSecond: number | null;
}

/** How a tunnel was. */
@Injectable()
export class HistoryService {
  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly tunnels: TunnelService,
    private readonly store: HistoryStore,
  ) {}

  /** @throws api/bad-input for a range that is empty, or has too many points. */
  async ofTunnel(context: TenantContext, tunnelId: string, asked: HistoryRange) {
    const now = new Date();
    const to = asked.to && asked.to < now ? asked.to : now;
    if (!(asked.from < to)) {
      throw apiFault("api/bad-input", "a history that ends before it begins", {
        field: "from",
        value: asked.from.toISOString(),
        expected: `a time before ${to.toISOString()}`,
      });
    }
    const step = this.#step(asked, to, now);
    const from = floorTo(asked.from, step.seconds);
    const ends = (await this.tunnels.ends(context, [tunnelId])).get(tunnelId) ?? [];
    const samples = await this.store.samples(
      context.organizationId,
      ends.map((end) => end.id),
      { seconds: step.seconds, from, to },
    );
    const byEnd = Map.groupBy(samples, (sample) => sample.endId);
    const resolution = HISTORY_RESOLUTIONS.find((r) => SECONDS[r] === step.seconds) ?? "HOUR";
    return { from, to, resolution, ends: ends.map((end) => ({ end, points: (byEnd.get(end.id) ?? []).map(pointOf) })) };
  }

  #step({ from, resolution }: HistoryRange, to: Date, now: Date): Step {
    const points = (step: Step) =>
      Math.ceil((to.getTime() - floorTo(from, step.seconds).getTime()) / 1000 / step.seconds);
    const [finest, ...coarser] = STEPS;
    const kept = (step: Step) => from >= later(now, -step.keptSeconds(this.config.history));
    const fits = (step: Step) => kept(step) && points(step) <= ENOUGH_POINTS;
    const step = resolution
      ? STEPS.find((s) => s.seconds === SECONDS[resolution])
      : ([finest, ...coarser].find(fits) ?? coarser.at(-1));
    if (step && points(step) <= MAX_POINTS) return step;
    throw apiFault("api/bad-input", "a history of too many points", {
      field: "to",
      value: to.toISOString(),
      expected: `at most ${MAX_POINTS} points: a shorter time, or a coarser resolution`,
    });
  }
}

function pointOf({ endId: _, covered, known, up, degraded, ...sample }: Sample): Point {
  const rate = (count: bigint) => (covered > 0 ? Number(count) / covered : null);
  return {
    ...sample,
    state: stateOf(known, up, degraded),
    availability: known > 0 ? up / known : null,
    bytesInPerSecond: rate(sample.bytesIn),
    bytesOutPerSecond: rate(sample.bytesOut),
    packetsInPerSecond: rate(sample.packetsIn),
    packetsOutPerSecond: rate(sample.packetsOut),
  };
}

/** What minutes of known state amount to. */
function stateOf(known: number, up: number, degraded: number): TunnelState | null {
  if (known === 0) return null;
  if (up === known) return "UP";
  return up + degraded === 0 ? "DOWN" : "DEGRADED";
}
