import type { Log } from "./log/log.js";

interface ProcessEvents {
  on(event: string, listener: (error: unknown) => void): unknown;
}

/** Sysexits: an error that nobody foresaw. */
export const EXIT_BUG = 70;

/**
 * After an error that nobody caught, nobody knows what state is left: it is logged and the process stops in order, for a supervisor
 * to start a fresh one.
 */
export function guardProcess(events: ProcessEvents, log: () => Log, stop: (exitCode: number) => void): void {
  for (const event of ["uncaughtException", "unhandledRejection"]) {
    events.on(event, (err) => {
      log().fatal({ err, event }, "an error that nobody foresaw: the process stops");
      stop(EXIT_BUG);
    });
  }
}
