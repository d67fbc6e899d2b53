import type { IpAddress, Rng } from "@sallyport/base";
import type { Millis } from "../api.js";
import { prf } from "../crypto/index.js";

const ROTATION_MS = 60_000;
const MAC_BYTES = 20;

/**
 * Stateless cookies, RFC 7296 §2.6: version | MAC(secret, Ni | IPi | SPIi). The secret changes every minute and the one before
 * stays good, so a cookie lives for one to two minutes.
 */
export class CookieJar {
  readonly #rng: Rng;
  #current: Uint8Array;
  #previous: Uint8Array | undefined;
  #version = 0;
  #since = 0;

  constructor(rng: Rng) {
    this.#rng = rng;
    this.#current = rng.bytes(32);
  }

  make(now: Millis, nonce: Uint8Array, source: IpAddress, spi: bigint): Uint8Array {
    this.#rotate(now);
    return this.#cookie(this.#version, this.#current, nonce, source, spi);
  }

  /** Cookies are no secrets to whoever receives the answer, so the comparison need not be constant in time. */
  check(now: Millis, cookie: Uint8Array, nonce: Uint8Array, source: IpAddress, spi: bigint): boolean {
    this.#rotate(now);
    const current = cookie[0] === this.#version;
    const secret = current ? this.#current : this.#previous;
    if (secret === undefined || cookie.length !== MAC_BYTES + 1) return false;
    const expected = this.#cookie(current ? this.#version : this.#before(), secret, nonce, source, spi);
    return expected.every((b, i) => b === cookie[i]);
  }

  #before(): number {
    return (this.#version + 255) & 0xff;
  }

  #cookie(version: number, secret: Uint8Array, nonce: Uint8Array, source: IpAddress, spi: bigint): Uint8Array {
    const spiBytes = new Uint8Array(8);
    new DataView(spiBytes.buffer).setBigUint64(0, spi);
    const mac = prf("hmac-sha2-256", secret, nonce, source.bytes, spiBytes);
    const out = new Uint8Array(MAC_BYTES + 1);
    out[0] = version;
    out.set(mac.subarray(0, MAC_BYTES), 1);
    return out;
  }

  #rotate(now: Millis): void {
    const elapsed = now - this.#since;
    if (elapsed < ROTATION_MS) return;
    this.#previous = elapsed < 2 * ROTATION_MS ? this.#current : undefined;
    this.#current = this.#rng.bytes(32);
    this.#version = (this.#version + 1) & 0xff;
    this.#since = now;
  }
}
