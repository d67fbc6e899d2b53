import { describe, expect, test } from "@jest/globals";
import type { TunnelState } from "../../platform/prisma/generated/enums.js";
import { combinedState, endState, eventOf } from "./tunnel-health.js";

describe("the state of a tunnel", () => {
  test.each<[TunnelState[], TunnelState]>([
    [[], "PENDING"],
    [["PENDING", "PENDING"], "PENDING"],
    [["UP"], "UP"],
    [["UP", "UP"], "UP"],
    [["UP", "PENDING"], "DEGRADED"],
    [["UP", "DOWN"], "DEGRADED"],
    [["DEGRADED", "DEGRADED"], "DEGRADED"],
    [["CONNECTING", "DOWN"], "CONNECTING"],
    [["DOWN", "PENDING"], "DOWN"],
    [["DOWN", "DOWN"], "DOWN"],
  ])("with ends %j is %s", (ends, state) => {
    expect(combinedState(ends)).toBe(state);
    expect(combinedState(ends.toReversed())).toBe(state);
  });

  test("an end that its gateway does not name is down", () => {
    expect(endState(undefined)).toBe("DOWN");
  });
});

describe("events", () => {
  const error = { code: "ike/x", message: "why", ours: "o", theirs: "t", exchange: "IKE_AUTH", at: new Date() };

  test("tell what went down and why, with both sides' values", () => {
    expect(eventOf("A–B", "UP", "DOWN", error, "hub")).toEqual({
      kind: "tunnel/down",
      severity: "ERROR",
      message: "A–B is down: why",
      facts: { gateway: "hub", code: "ike/x", ours: "o", theirs: "t" },
    });
  });

  test("are silent about the way up, and loud about the way down", () => {
    expect(eventOf("t", "PENDING", "CONNECTING", undefined, "g")).toBeUndefined();
    expect(eventOf("t", "CONNECTING", "DEGRADED", undefined, "g")).toBeUndefined();
    expect(eventOf("t", "DEGRADED", "UP", undefined, "g")?.kind).toBe("tunnel/up");
    expect(eventOf("t", "UP", "DEGRADED", undefined, "g")?.kind).toBe("tunnel/degraded");
    expect(eventOf("t", "UP", "CONNECTING", undefined, "g")?.kind).toBe("tunnel/down");
  });
});
