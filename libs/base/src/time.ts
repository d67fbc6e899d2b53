/** Monotonic and wall time, both in milliseconds. SAs live by `now` only, so that a stepped clock kills no tunnel (CORE-13). */
export interface Clock {
  now(): number;
  wall(): number;
}

/** Source of random octets: `node:crypto` in production, a seeded generator in tests. */
export interface Rng {
  bytes(n: number): Uint8Array;
}
