import { apiFault } from "../../platform/faults.js";

/** When items may begin: on these days (0: Sunday; none: every day), from this minute of the day on, for so many minutes, on the clocks of `zone`. */
export interface Window {
  readonly days: readonly number[];
  readonly from: number;
  readonly minutes: number;
  readonly zone: string;
}

const DAY = 1_440;
const MINUTE_MS = 60_000;
const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

export function isOpen({ days, from, minutes, zone }: Window, at: Date): boolean {
  const { weekday: today, minute } = clock(zone, at);
  const opens = (day: number) => days.length === 0 || days.includes((day + 7) % 7);
  if (opens(today) && minute >= from && minute < from + minutes) return true;
  // Yesterday's may reach past midnight.
  return opens(today - 1) && minute + DAY >= from && minute + DAY < from + minutes;
}

/** `at`, or when it opens next after that; undefined: the clocks never show such a time within the next days. */
export function opensAt(window: Window, at: Date): Date | undefined {
  if (isOpen(window, at)) return at;
  const { midnight } = clock(window.zone, at);
  for (let day = 0; day <= DAYS.length + 1; day++) {
    const shown = midnight + (day * DAY + window.from) * MINUTE_MS;
    // What the clocks of the zone are ahead by may be another at that time.
    const near = shown - aheadBy(window.zone, shown);
    const opening = new Date(shown - aheadBy(window.zone, near));
    if (opening > at && isOpen(window, opening)) return opening;
  }
  return undefined;
}

/** Milliseconds by which the clocks of a zone are ahead of UTC. */
function aheadBy(zone: string, at: number): number {
  const { midnight, minute } = clock(zone, new Date(at));
  return midnight + minute * MINUTE_MS - Math.floor(at / MINUTE_MS) * MINUTE_MS;
}

/** What the clocks of a zone show: day of the week, minute of the day, and the day's beginning as if it were UTC. */
function clock(zone: string, at: Date) {
  const parts = new Intl.DateTimeFormat("en-US", {
    timeZone: zone,
    weekday: "short",
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  }).formatToParts(at);
  const part = (type: string) => parts.find((p) => p.type === type)?.value ?? "";
  return {
    weekday: DAYS.indexOf(part("weekday")),
    minute: Number(part("hour")) * 60 + Number(part("minute")),
    midnight: Date.UTC(Number(part("year")), Number(part("month")) - 1, Number(part("day"))),
  };
}

export interface WindowInput {
  readonly days: readonly number[];
  readonly from: string;
  readonly minutes: number;
  readonly timeZone: string;
}

/** As rows keep it. */
export interface WindowColumns {
  readonly windowDays: number[];
  readonly windowFrom: number | null;
  readonly windowMinutes: number | null;
  readonly windowZone: string | null;
}

/** Undefined: any time. */
export function windowOf({ windowDays, windowFrom, windowMinutes, windowZone }: WindowColumns): Window | undefined {
  if (windowFrom === null || windowMinutes === null || windowZone === null) return undefined;
  return { days: windowDays, from: windowFrom, minutes: windowMinutes, zone: windowZone };
}

/** `at`, or when a row's window opens next after that, but not after `latest`. */
export function movedInto(row: WindowColumns, at: Date, latest: Date): Date {
  const window = windowOf(row);
  const opening = (window && opensAt(window, at)) ?? at;
  if (opening <= latest) return opening;
  return at < latest ? latest : at;
}

export function windowColumns(window: Window | undefined): WindowColumns {
  const { days = [], from = null, minutes = null, zone = null } = window ?? {};
  return { windowDays: [...days], windowFrom: from, windowMinutes: minutes, windowZone: zone };
}

/** As callers gave it. */
export function shownWindow({ days, from, minutes, zone }: Window): WindowInput {
  const two = (n: number) => String(n).padStart(2, "0");
  return { days, from: `${two(Math.floor(from / 60))}:${two(from % 60)}`, minutes, timeZone: zone };
}

/** @throws api/bad-input */
export function checkWindow({ days, from, minutes, timeZone }: WindowInput, field: string): Window {
  const bad = (name: string, value: string, expected: string) =>
    apiFault("api/bad-input", `${field}.${name}: expected ${expected}`, { field: `${field}.${name}`, value, expected });
  if (days.some((day) => !Number.isInteger(day) || day < 0 || day > 6)) {
    throw bad("days", days.join(", "), "0 (Sunday) to 6 (Saturday)");
  }
  const [, hour, minute] = /^([01]\d|2[0-3]):([0-5]\d)$/.exec(from) ?? [];
  if (hour === undefined || minute === undefined)
    throw bad("from", from.slice(0, 20), "a time of the day such as 02:30");
  if (!Number.isInteger(minutes) || minutes < 1 || minutes > DAY) {
    throw bad("minutes", String(minutes), `1 to ${DAY}`);
  }
  if (timeZone.length > 64 || !isZone(timeZone)) {
    throw bad("timeZone", timeZone.slice(0, 64), "a time zone such as Europe/Vienna");
  }
  return { days: [...new Set(days)], from: Number(hour) * 60 + Number(minute), minutes, zone: timeZone };
}

function isZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat("en-US", { timeZone: name }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}
