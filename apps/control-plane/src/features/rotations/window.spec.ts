import { describe, expect, test } from "@jest/globals";
import { checkWindow, isOpen } from "./window.js";

const at = (text: string) => new Date(text);

describe("a window", () => {
  const night = checkWindow({ days: [6], from: "23:00", minutes: 120, timeZone: "UTC" }, "window");

  test.each([
    ["2026-01-03T22:59:59Z", false],
    ["2026-01-03T23:00:00Z", true],
    ["2026-01-04T00:59:59Z", true],
    ["2026-01-04T01:00:00Z", false],
    ["2026-01-04T23:30:00Z", false],
    ["2026-01-03T00:30:00Z", false],
  ])("on Saturdays from 23:00 for two hours is at %s open: %s", (time, open) => {
    expect(isOpen(night, at(time))).toBe(open);
  });

  test("goes by the clocks of its zone, summer and winter", () => {
    const vienna = checkWindow({ days: [], from: "02:30", minutes: 30, timeZone: "Europe/Vienna" }, "window");
    expect(isOpen(vienna, at("2026-01-10T01:30:00Z"))).toBe(true);
    expect(isOpen(vienna, at("2026-07-10T01:30:00Z"))).toBe(false);
    expect(isOpen(vienna, at("2026-07-10T00:30:00Z"))).toBe(true);
  });
});
