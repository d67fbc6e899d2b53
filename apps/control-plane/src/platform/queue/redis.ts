import { Redis, type RedisOptions } from "ioredis";

/** How long a command may wait for a connection that is being made again. */
const COMMAND_MS = 5_000;

/** `redis://`, `rediss://`, or `unix:///path/to/socket?db=1&password=…`. */
export function redisOptions(text: string): RedisOptions {
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
  const options: RedisOptions = Object.assign(redisOptions(text), {
    maxRetriesPerRequest: 3,
    commandTimeout: COMMAND_MS,
    retryStrategy: (times: number) => Math.min(50 * 2 ** times, 2_000),
  });
  return new Redis(options);
}
