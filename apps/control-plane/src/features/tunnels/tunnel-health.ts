import type { Severity, TunnelState } from "../../platform/prisma/generated/enums.js";
import type { TunnelErrorReport, TunnelReport } from "./tunnel-state.service.js";

const OF_STATUS = {
  up: "UP",
  partial: "DEGRADED",
  connecting: "CONNECTING",
  down: "DOWN",
} as const satisfies Record<TunnelReport["status"], TunnelState>;

/** An end whose gateway does not name the tunnel is down. */
export function endState(report: TunnelReport | undefined): TunnelState {
  return report ? OF_STATUS[report.status] : "DOWN";
}

/** What the states of all managed ends make of the tunnel. */
export function combinedState(ends: readonly TunnelState[]): TunnelState {
  if (ends.length === 0 || ends.every((s) => s === "PENDING")) return "PENDING";
  if (ends.every((s) => s === "UP")) return "UP";
  if (ends.some((s) => s === "UP" || s === "DEGRADED")) return "DEGRADED";
  return ends.includes("CONNECTING") ? "CONNECTING" : "DOWN";
}

export interface TunnelEvent {
  readonly kind: string;
  readonly severity: Severity;
  readonly message: string;
  readonly facts: Readonly<Record<string, string>>;
}

/** What to tell of a change of state; undefined for one that matters to nobody. */
export function eventOf(
  name: string,
  was: TunnelState | undefined,
  is: TunnelState,
  error: TunnelErrorReport | undefined,
  gateway: string,
): TunnelEvent | undefined {
  const facts: Record<string, string> = { gateway };
  if (is === "UP") return { kind: "tunnel/up", severity: "INFO", message: `${name} is up`, facts };
  if (is === "PENDING" || (is === "CONNECTING" && was !== "UP")) return undefined;
  // On the way up one end is always first.
  if (is === "DEGRADED" && was !== "UP") return undefined;
  if (error) {
    facts.code = error.code;
    if (error.ours !== undefined) facts.ours = error.ours;
    if (error.theirs !== undefined) facts.theirs = error.theirs;
  }
  const why = error ? `: ${error.message}` : "";
  if (is === "DEGRADED") {
    return {
      kind: "tunnel/degraded",
      severity: "WARNING",
      message: `${name} is up at one end only or in part${why}`,
      facts,
    };
  }
  return { kind: "tunnel/down", severity: "ERROR", message: `${name} is down${why}`, facts };
}
