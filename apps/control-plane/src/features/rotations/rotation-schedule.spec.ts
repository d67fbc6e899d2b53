import { describe, expect, test } from "@jest/globals";
import { nextTime } from "./rotation-schedule.service.js";

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
