import type { Config } from "../../platform/config/config.js";

const HOUR_S = 3_600;
const DAY_S = 24 * HOUR_S;

export type HistoryLimits = Config["history"];

/** Samples of one length. */
export interface Step {
  /** Of a sample. */
  readonly seconds: number;
  /** Those that it is rolled up from; undefined: agents' reports write them. */
  readonly from: number | undefined;
  /** Of a partition. */
  readonly partitionSeconds: number;
  keptSeconds(limits: HistoryLimits): number;
}

/** Finest first. */
export const STEPS: readonly [Step, ...Step[]] = [
  { seconds: 60, from: undefined, partitionSeconds: 6 * HOUR_S, keptSeconds: ({ rawHours }) => rawHours * HOUR_S },
  {
    seconds: 300,
    from: 60,
    partitionSeconds: DAY_S,
    keptSeconds: ({ fiveMinuteDays }) => fiveMinuteDays * DAY_S,
  },
  { seconds: HOUR_S, from: 300, partitionSeconds: 7 * DAY_S, keptSeconds: ({ hourDays }) => hourDays * DAY_S },
];

/** Where the sample, or the partition, of so many seconds begins that holds a time. */
export const floorTo = (at: Date, seconds: number) =>
  new Date(Math.floor(at.getTime() / (seconds * 1000)) * seconds * 1000);

export const later = (at: Date, seconds: number) => new Date(at.getTime() + seconds * 1000);

const PREFIX = "tunnel_samples";

/** `tunnel_samples_60_202611221200`: the step, and when it begins. */
export function partitionName({ seconds }: Step, from: Date): string {
  return `${PREFIX}_${seconds}_${from.toISOString().replace(/\D/g, "").slice(0, 12)}`;
}

/** When a partition ends; undefined for one that is none of ours. */
export function partitionEnd(name: string): { readonly step: Step; readonly end: Date } | undefined {
  const [, seconds, y, mo, d, h, mi] = /^tunnel_samples_(\d+)_(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(name) ?? [];
  const step = STEPS.find((s) => String(s.seconds) === seconds);
  if (step === undefined) return undefined;
  const from = Date.parse(`${y}-${mo}-${d}T${h}:${mi}:00Z`);
  return Number.isNaN(from) ? undefined : { step, end: new Date(from + step.partitionSeconds * 1000) };
}
