import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import {
  checkWindow,
  isOpen,
  movedInto,
  opensAt,
  placesOf,
  placesOpenAt,
  shownWindow,
  windowColumns,
  windowOf,
} from "./window.js";

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

  test("opens next on a day of its own, at its time of the day", () => {
    expect(opensAt(night, at("2026-01-04T01:00:00Z"))).toEqual(at("2026-01-10T23:00:00Z"));
    expect(opensAt(night, at("2026-01-03T12:00:00Z"))).toEqual(at("2026-01-03T23:00:00Z"));
    expect(opensAt(night, at("2026-01-04T00:30:00Z"))).toEqual(at("2026-01-04T00:30:00Z"));
    const vienna = checkWindow({ days: [], from: "02:30", minutes: 30, timeZone: "Europe/Vienna" }, "window");
    expect(opensAt(vienna, at("2026-07-10T00:20:00Z"))).toEqual(at("2026-07-10T00:30:00Z"));
    // On that Sunday the clocks go from 02:00 to 03:00.
    expect(opensAt(vienna, at("2026-03-28T12:00:00Z"))).toEqual(at("2026-03-30T00:30:00Z"));
  });

  test("is open when it opens next, and not in between, in every zone", () => {
    const window = fc.record({
      days: fc.uniqueArray(fc.nat(6), { maxLength: 7 }),
      // Not in the hours in which clocks are changed.
      from: fc.integer({ min: 240, max: 1_439 }),
      minutes: fc.integer({ min: 121, max: 1_440 }),
      zone: fc.constantFrom("UTC", "Europe/Vienna", "America/St_Johns", "Asia/Kathmandu", "Pacific/Apia"),
    });
    const time = fc.date({ min: at("2026-01-01T00:00:00Z"), max: at("2027-12-31T00:00:00Z"), noInvalidDate: true });
    fc.assert(
      fc.property(window, time, fc.double({ min: 0, max: 0.999, noNaN: true }), (made, now, share) => {
        expect(windowOf(windowColumns(made))).toEqual(made);
        expect(placesOf(windowColumns(made), [])).toEqual([[made]]);
        expect(checkWindow(shownWindow(made), "window")).toEqual(made);
        const opening = opensAt(made, now) as Date;
        expect(isOpen(made, opening)).toBe(true);
        const between = new Date(now.getTime() + (opening.getTime() - now.getTime()) * share);
        expect(movedInto([[made]], now, opening)).toEqual(opening);
        expect(movedInto([[made]], now, between)).toEqual(opening > now ? between : now);
        expect(movedInto([[made]], now, new Date(0))).toEqual(now);
        if (opening > now) expect(isOpen(made, between)).toBe(false);
      }),
      { numRuns: 300 },
    );
  });

  test("of several places is open when one of each is; where they never meet, when one of any is", () => {
    const daily = (from: string, minutes: number, timeZone: string) =>
      checkWindow({ days: [], from, minutes, timeZone }, "window");
    const vienna = [daily("02:00", 120, "Europe/Vienna")];
    const london = [daily("22:00", 60, "Europe/London"), daily("02:00", 120, "Europe/London")];
    const tokyo = [daily("02:00", 120, "Asia/Tokyo")];
    const noon = at("2026-01-10T12:00:00Z");
    expect(placesOpenAt([], noon)).toEqual(noon);
    expect(placesOpenAt([[], []], noon)).toEqual(noon);
    expect(placesOpenAt([vienna, []], noon)).toEqual(at("2026-01-11T01:00:00Z"));
    expect(placesOpenAt([vienna, london], noon)).toEqual(at("2026-01-11T02:00:00Z"));
    expect(placesOpenAt([london], noon)).toEqual(at("2026-01-10T22:00:00Z"));
    expect(placesOpenAt([vienna, tokyo], noon)).toEqual(at("2026-01-10T17:00:00Z"));
    expect(placesOpenAt([vienna, tokyo], at("2026-01-10T18:59:59Z"))).toEqual(at("2026-01-10T18:59:59Z"));
    expect(placesOf(windowColumns(undefined), [vienna])).toEqual([vienna]);
  });
});
