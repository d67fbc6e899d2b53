import { randomFillSync } from "node:crypto";
import type { Clock, Rng } from "@sallyport/base";

export const systemClock: Clock = { now: () => performance.now(), wall: () => Date.now() };

/** Octets of the system's generator, drawn in blocks because one call costs more than the octets. */
export class SystemRng implements Rng {
  readonly #pool = new Uint8Array(4096);
  #at = this.#pool.length;

  bytes(n: number): Uint8Array {
    if (n > 256) return randomFillSync(new Uint8Array(n));
    if (this.#at + n > this.#pool.length) {
      randomFillSync(this.#pool);
      this.#at = 0;
    }
    const out = this.#pool.slice(this.#at, this.#at + n);
    this.#pool.fill(0, this.#at, this.#at + n);
    this.#at += n;
    return out;
  }
}
