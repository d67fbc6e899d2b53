import { type DestinationStream, type Logger, pino, stdTimeFunctions } from "pino";

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

/** Credentials of a URL, and tokens of the API. */
const SECRETS_IN_TEXT = /(?<=:\/\/)[^\s/@]+(?=@)|\bsp_[\w-]{20,}/g;
const masked = (text: string) => text.replace(SECRETS_IN_TEXT, "***");

interface Described {
  readonly type: string;
  readonly code?: unknown;
  readonly message: string;
  readonly stack?: string;
  readonly cause?: Described;
}

/** What of an error is worth a line. Drivers hang whole connections on theirs, passwords included. */
function describeError(error: unknown): Described {
  if (!(error instanceof Error)) return { type: typeof error, message: masked(String(error)) };
  const { code } = error as { code?: unknown };
  return {
    type: error.name,
    ...(code === undefined ? {} : { code }),
    message: masked(error.message),
    ...(error.stack === undefined ? {} : { stack: masked(error.stack) }),
    ...(error.cause === undefined ? {} : { cause: describeError(error.cause) }),
  };
}

/** JSON lines on standard error. What looks like a secret by its name is masked, two levels deep. */
export function createLog(level: string, into: DestinationStream = pino.destination({ dest: 2, sync: true })): Log {
  return pino(
    {
      level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      redact: { paths: SECRET_KEYS.flatMap((k) => [k, `*.${k}`, `*.*.${k}`]), censor: "***" },
      serializers: { err: describeError },
      formatters: { level: (label) => ({ level: label }) },
    },
    into,
  );
}
