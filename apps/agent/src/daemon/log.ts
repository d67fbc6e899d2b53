import { Writable } from "node:stream";
import pino, { type Logger } from "pino";
import { harmless } from "./harmless.js";

export type { Logger };

/** The newest lines, for `sallyport-agent logs` (LOG-01). */
export class LogBuffer {
  readonly #lines: string[] = [];
  readonly #listeners = new Set<(line: string) => void>();

  constructor(readonly capacity = 10_000) {}

  push(line: string): void {
    this.#lines.push(line);
    // Half is dropped at once, so that the cost of dropping is spread over many lines.
    if (this.#lines.length > this.capacity) this.#lines.splice(0, this.capacity / 2);
    for (const listener of this.#listeners) listener(line);
  }

  tail(count: number): readonly string[] {
    return count <= 0 ? [] : this.#lines.slice(-count);
  }

  follow(listener: (line: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** A collector that went away takes its pipe with it; the gateway goes on. */
const ignore = () => {};

/** JSON lines to standard output and into `buffer`. Bytes and secrets are never logged: callers log texts and ids. */
export function createLogger(buffer: LogBuffer, level: string): Logger {
  process.stdout.off("error", ignore).on("error", ignore);
  const sink = new Writable({
    decodeStrings: false,
    write(chunk: string, _encoding, done) {
      const line = harmless(chunk.trimEnd());
      buffer.push(line);
      process.stdout.write(`${line}\n`, () => done());
    },
  });
  return pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime, redact: ["token", "*.secret", "*.token"] },
    sink,
  );
}
