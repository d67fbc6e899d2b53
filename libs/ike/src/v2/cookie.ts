import { Buffer } from "node:buffer";
import { hash } from "node:crypto";
import type { IpAddress, Rng } from "@sallyport/base";
import type { Millis } from "../api.js";

const ROTATION_MS = 60_000;
const MAC_BYTES = 20;
const SECRET_BYTES = 32;
/** Ni, the family of the address, IPi, SPIi, the secret. */
const MATERIAL_BYTES = 256 + 1 + 16 + 8 + SECRET_BYTES;

/**
 * Stateless cookies in the form of RFC 7296 §2.6: version | Hash(Ni | IPi | SPIi | secret), the hash cut to 20 octets. The secret
 * changes every minute and the one before stays good, so a cookie lives for one to two minutes. One digest and no allocation but
 * the cookie: it is made for every request of a flood.
 */
export class CookieJar {
  readonly #rng: Rng;
  readonly #material = Buffer.alloc(MATERIAL_BYTES);
  #current: Uint8Array;
  #previous: Uint8Array | undefined;
  #version = 0;
  #since = 0;

  constructor(rng: Rng) {
    this.#rng = rng;
    this.#current = rng.bytes(SECRET_BYTES);
  }

  /** `nonce` has at most 256 octets. */
  make(now: Millis, nonce: Uint8Array, source: IpAddress, spi: bigint): Uint8Array {
    this.#rotate(now);
    const cookie = new Uint8Array(MAC_BYTES + 1);
    cookie[0] = this.#version;
    const mac = this.#mac(this.#current, nonce, source, spi);
    for (let i = 0; i < MAC_BYTES; i++) cookie[i + 1] = mac.charCodeAt(i);
    return cookie;
  }

  /** Cookies are no secrets to whoever receives the answer, so the comparison need not be constant in time. */
  check(now: Millis, cookie: Uint8Array, nonce: Uint8Array, source: IpAddress, spi: bigint): boolean {
    this.#rotate(now);
    const current = cookie[0] === this.#version;
    const secret = current ? this.#current : this.#previous;
    if (secret === undefined || cookie.length !== MAC_BYTES + 1) return false;
    if (!current && cookie[0] !== this.#before()) return false;
    const mac = this.#mac(secret, nonce, source, spi);
    for (let i = 0; i < MAC_BYTES; i++) if (cookie[i + 1] !== mac.charCodeAt(i)) return false;
    return true;
  }

  #before(): number {
    return (this.#version + 255) & 0xff;
  }

  /** An octet a character. */
  #mac(secret: Uint8Array, nonce: Uint8Array, source: IpAddress, spi: bigint): string {
    const material = this.#material;
    material.set(nonce);
    let at = material.writeUInt8(source.family, nonce.length);
    const address = source.toBigInt();
    if (source.family === 4) at = material.writeUInt32BE(Number(address), at);
    else {
      at = material.writeBigUInt64BE(address >> 64n, at);
      at = material.writeBigUInt64BE(BigInt.asUintN(64, address), at);
    }
    at = material.writeBigUInt64BE(spi, at);
    material.set(secret, at);
    return hash("sha256", material.subarray(0, at + SECRET_BYTES), "binary");
  }

  #rotate(now: Millis): void {
    const elapsed = now - this.#since;
    if (elapsed < ROTATION_MS) return;
    this.#previous = elapsed < 2 * ROTATION_MS ? this.#current : undefined;
    this.#current = this.#rng.bytes(SECRET_BYTES);
    this.#version = (this.#version + 1) & 0xff;
    this.#since = now;
  }
}
