import { Redis } from "ioredis";

/** How long a command may wait for a connection that is being made again. */
const COMMAND_MS = 5_000;

/** The part of ioredis's options that a URL says. */
export interface RedisTarget {
  readonly path?: string;
  readonly host?: string;
  readonly port?: number;
  readonly tls?: { servername: string };
  readonly username?: string;
  readonly password?: string;
  readonly db: number;
}

/** `redis://`, `rediss://`, or `unix:///path/to/socket?db=1&password=…`. */
export function redisOptions(text: string): RedisTarget {
  const url = new URL(text);
  const database = Number(url.protocol === "unix:" ? (url.searchParams.get("db") ?? 0) : url.pathname.slice(1) || 0);
  const password = url.protocol === "unix:" ? url.searchParams.get("password") : decodeURIComponent(url.password);
  const username = decodeURIComponent(url.username);
  return {
    ...(url.protocol === "unix:"
      ? { path: decodeURIComponent(url.pathname) }
      : { host: url.hostname, port: Number(url.port || 6379) }),
    ...(url.protocol === "rediss:" ? { tls: { servername: url.hostname } } : {}),
    ...(username === "" ? {} : { username }),
    ...(password === null || password === "" ? {} : { password }),
    db: database,
  };
}

/** A connection for plain commands, which fail rather than wait for ever. */
export function connectRedis(text: string): Redis {
  return new Redis({
    ...redisOptions(text),
    maxRetriesPerRequest: 3,
    commandTimeout: COMMAND_MS,
    retryStrategy: (times) => Math.min(50 * 2 ** times, 2_000),
  });
}
