import { describe, expect, test } from "@jest/globals";
import { nextTime } from "./rotation-schedule.service.js";
import { checkWindow, shownWindow, windowOf } from "./window.js";

const at = (text: string) => new Date(text);

describe("the next time of a schedule", () => {
  test.each([
    ["its first, before that", "2026-01-01T00:00:00Z", "2026-01-05T02:00:00Z"],
    ["one later, at it", "2026-01-05T02:00:00Z", "2026-01-12T02:00:00Z"],
    ["one later, just after it", "2026-01-05T02:00:30Z", "2026-01-12T02:00:00Z"],
    ["the first to come, when some were missed", "2026-02-01T00:00:00Z", "2026-02-02T02:00:00Z"],
  ])("is %s", (_, now, expected) => {
    expect(nextTime(at("2026-01-05T02:00:00Z"), 7, at(now)).toISOString()).toBe(at(expected).toISOString());
  });
});

test("a window that went through columns is the one that was asked for", () => {
  const asked = { days: [6, 0], from: "02:05", minutes: 90, timeZone: "Europe/Vienna" };
  const { days, from, minutes, zone } = checkWindow(asked, "window");
  const row = { windowDays: days, windowFrom: from, windowMinutes: minutes, windowZone: zone };
  const window = windowOf(row);
  expect(window && shownWindow(window)).toEqual(asked);
  expect(windowOf({ ...row, windowFrom: null })).toBeUndefined();
});
