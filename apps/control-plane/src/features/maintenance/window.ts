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
const MAX_CLOCKS = 500;
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
  for (const opening of openings(window, at)) return opening;
  return undefined;
}

/** When it opens after `at`, within the next eight days. */
function* openings(window: Window, at: Date): Generator<Date, void, undefined> {
  const { midnight } = clock(window.zone, at);
  for (let day = 0; day <= DAYS.length + 1; day++) {
    const shown = midnight + (day * DAY + window.from) * MINUTE_MS;
    // What the clocks of the zone are ahead by may be another at that time.
    const near = shown - aheadBy(window.zone, shown);
    const opening = new Date(shown - aheadBy(window.zone, near));
    if (opening > at && isOpen(window, opening)) yield opening;
  }
}

/** Of each place that work touches its windows, of which one has to be open. One without windows is always open. */
export type Places = readonly (readonly Window[])[];

/**
 * `at`, or the next time after that at which all places are open. Where they never are at the same time within the next days, one of them
 * is enough: work that touches two of them would never be done.
 */
export function placesOpenAt(places: Places, at: Date): Date {
  const bound = places.filter((windows) => windows.length > 0);
  const areOpen = (time: Date) => (windows: readonly Window[]) => windows.some((window) => isOpen(window, time));
  if (bound.every(areOpen(at))) return at;
  const later = bound.flat().flatMap((window) => [...openings(window, at)]);
  const times = [at, ...later.toSorted((a, b) => a.getTime() - b.getTime())];
  return times.find((time) => bound.every(areOpen(time))) ?? times.find((time) => bound.some(areOpen(time))) ?? at;
}

/** Milliseconds by which the clocks of a zone are ahead of UTC. */
function aheadBy(zone: string, at: number): number {
  const { midnight, minute } = clock(zone, new Date(at));
  return midnight + minute * MINUTE_MS - Math.floor(at / MINUTE_MS) * MINUTE_MS;
}

/** What the clocks of a zone show: day of the week, minute of the day, and the day's beginning as if it were UTC. */
function clock(zone: string, at: Date) {
  const parts = clockOf(zone).formatToParts(at);
  const part = (type: string) => parts.find((p) => p.type === type)?.value ?? "";
  return {
    weekday: DAYS.indexOf(part("weekday")),
    minute: Number(part("hour")) * 60 + Number(part("minute")),
    midnight: Date.UTC(Number(part("year")), Number(part("month")) - 1, Number(part("day"))),
  };
}

/** Making one costs more than all that is asked of it. */
const clocks = new Map<string, Intl.DateTimeFormat>();

function clockOf(zone: string): Intl.DateTimeFormat {
  const known = clocks.get(zone);
  if (known) return known;
  const [oldest] = clocks.keys();
  if (clocks.size >= MAX_CLOCKS && oldest !== undefined) clocks.delete(oldest);
  const made = new Intl.DateTimeFormat("en-US", {
    timeZone: zone,
    weekday: "short",
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  });
  clocks.set(zone, made);
  return made;
}

/** Hours of the week, on clocks that are told elsewhere. */
export interface HoursInput {
  readonly days: readonly number[];
  readonly from: string;
  readonly minutes: number;
}

export interface WindowInput extends HoursInput {
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

/** The window that a row has of its own counts alone; without one, those of the places. */
export function placesOf(row: WindowColumns, places: Places): Places {
  const window = windowOf(row);
  return window ? [[window]] : places;
}

/** `at`, or when the places are open next after that, but not after `latest`. */
export function movedInto(places: Places, at: Date, latest: Date): Date {
  const opening = placesOpenAt(places, at);
  if (opening <= latest) return opening;
  return at < latest ? latest : at;
}

export function windowColumns(window: Window | undefined): WindowColumns {
  const { days = [], from = null, minutes = null, zone = null } = window ?? {};
  return { windowDays: [...days], windowFrom: from, windowMinutes: minutes, windowZone: zone };
}

/** As callers gave it. */
export function shownWindow({ zone, ...hours }: Window): WindowInput {
  return { ...shownHours(hours), timeZone: zone };
}

export function shownHours({ days, from, minutes }: Omit<Window, "zone">): HoursInput {
  const two = (n: number) => String(n).padStart(2, "0");
  return { days, from: `${two(Math.floor(from / 60))}:${two(from % 60)}`, minutes };
}

/** @throws api/bad-input */
export function checkWindow({ timeZone, ...hours }: WindowInput, field: string): Window {
  return { ...checkHours(hours, field), zone: checkZone(timeZone, `${field}.timeZone`) };
}

/** @throws api/bad-input */
export function checkHours({ days, from, minutes }: HoursInput, field: string): Omit<Window, "zone"> {
  if (days.some((day) => !Number.isInteger(day) || day < 0 || day > 6)) {
    throw bad(`${field}.days`, days.join(", "), "0 (Sunday) to 6 (Saturday)");
  }
  const [, hour, minute] = /^([01]\d|2[0-3]):([0-5]\d)$/.exec(from) ?? [];
  if (hour === undefined || minute === undefined) {
    throw bad(`${field}.from`, from.slice(0, 20), "a time of the day such as 02:30");
  }
  if (!Number.isInteger(minutes) || minutes < 1 || minutes > DAY) {
    throw bad(`${field}.minutes`, String(minutes), `1 to ${DAY}`);
  }
  return { days: [...new Set(days)], from: Number(hour) * 60 + Number(minute), minutes };
}

/** @throws api/bad-input */
export function checkZone(name: string, field: string): string {
  if (name.length > 64 || !isZone(name)) throw bad(field, name.slice(0, 64), "a time zone such as Europe/Vienna");
  return name;
}

const bad = (field: string, value: string, expected: string) =>
  apiFault("api/bad-input", `${field}: expected ${expected}`, { field, value, expected });

function isZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat("en-US", { timeZone: name }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}
