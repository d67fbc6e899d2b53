import { apiFault } from "../../platform/faults.js";

/** When items may begin: on these days (0: Sunday; none: every day), from this minute of the day on, for so many minutes, on the clocks of `zone`. */
export interface Window {
  readonly days: readonly number[];
  readonly from: number;
  readonly minutes: number;
  readonly zone: string;
}

const DAY = 1_440;
const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

export function isOpen({ days, from, minutes, zone }: Window, at: Date): boolean {
  const parts = new Intl.DateTimeFormat("en-US", {
    timeZone: zone,
    weekday: "short",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  }).formatToParts(at);
  const part = (type: string) => parts.find((p) => p.type === type)?.value ?? "";
  const today = DAYS.indexOf(part("weekday"));
  const minute = Number(part("hour")) * 60 + Number(part("minute"));
  const opens = (day: number) => days.length === 0 || days.includes((day + 7) % 7);
  if (opens(today) && minute >= from && minute < from + minutes) return true;
  // Yesterday's may reach past midnight.
  return opens(today - 1) && minute + DAY >= from && minute + DAY < from + minutes;
}

export interface WindowInput {
  readonly days: readonly number[];
  readonly from: string;
  readonly minutes: number;
  readonly timeZone: string;
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
