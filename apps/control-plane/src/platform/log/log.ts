import { type Logger, pino, stdTimeFunctions } from "pino";

export type Log = Logger;

/** Nest's token of the `Log`. */
export const LOG = Symbol("Log");

const SECRET_KEYS = [
  "password",
  "secret",
  "token",
  "psk",
  "preSharedKey",
  "authorization",
  "cookie",
  "masterKey",
  "key",
];

/** JSON lines on standard error. What looks like a secret by its name is masked, two levels deep. */
export function createLog(level: string): Log {
  return pino(
    {
      level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      redact: { paths: SECRET_KEYS.flatMap((k) => [k, `*.${k}`, `*.*.${k}`]), censor: "***" },
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ dest: 2, sync: true }),
  );
}
