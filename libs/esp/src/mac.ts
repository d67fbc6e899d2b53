import { createCipheriv, createHmac, createSecretKey } from "node:crypto";
import type { IntegrityAlgorithm } from "@sallyport/base";

/** The whole MAC of `data` followed by `suffix` (the implicit half of an ESN, or nothing); the caller truncates it. */
export type Mac = (data: Uint8Array, suffix: Uint8Array) => Uint8Array;

const BLOCK = 16;
const HMAC_HASH: Partial<Record<IntegrityAlgorithm, string>> = {
  "hmac-md5-96": "md5",
  "hmac-sha1-96": "sha1",
  "hmac-sha2-256-128": "sha256",
  "hmac-sha2-384-192": "sha384",
  "hmac-sha2-512-256": "sha512",
};

export function createMac(algorithm: IntegrityAlgorithm, key: Uint8Array): Mac {
  const hash = HMAC_HASH[algorithm];
  if (hash !== undefined) {
    const secret = createSecretKey(key);
    return (data, suffix) => createHmac(hash, secret).update(data).update(suffix).digest();
  }
  return algorithm === "aes-cmac-96" ? cmac(key) : xcbc(key);
}

function encryptBlock(key: Uint8Array, block: Uint8Array): Uint8Array {
  return createCipheriv("aes-128-ecb", key, null).setAutoPadding(false).update(block);
}

/** Doubling in GF(2¹²⁸), RFC 4493 §2.3. */
function double(block: Uint8Array): Uint8Array {
  const out = new Uint8Array(BLOCK);
  for (let i = 0; i < BLOCK; i++) {
    out[i] = (((block[i] as number) << 1) | ((block[i + 1] ?? 0) >>> 7)) & 0xff;
  }
  if ((block[0] as number) & 0x80) out[BLOCK - 1] = (out[BLOCK - 1] as number) ^ 0x87;
  return out;
}

/** RFC 4493; truncated to 96 bits in ESP by RFC 4494. */
function cmac(key: Uint8Array): Mac {
  const whole = double(encryptBlock(key, new Uint8Array(BLOCK)));
  return chained(key, whole, double(whole));
}

/** RFC 3566 §4: three keys from one. */
function xcbc(key: Uint8Array): Mac {
  const derived = (octet: number) => encryptBlock(key, new Uint8Array(BLOCK).fill(octet));
  return chained(derived(1), derived(2), derived(3));
}

/**
 * CBC-MAC whose last block is masked with `whole` when it is full and with `partial` after 10* padding.
 * One cipher object serves every packet: what it chains from the packet before is cancelled in the first block.
 */
function chained(key: Uint8Array, whole: Uint8Array, partial: Uint8Array): Mac {
  const cipher = createCipheriv("aes-128-cbc", key, new Uint8Array(BLOCK)).setAutoPadding(false);
  let previous: Uint8Array = new Uint8Array(BLOCK);
  let scratch = new Uint8Array(2048);
  return (data, suffix) => {
    const length = data.length + suffix.length;
    const padded = Math.max(BLOCK, Math.ceil(length / BLOCK) * BLOCK);
    if (padded > scratch.length) scratch = new Uint8Array(padded);
    scratch.set(data);
    scratch.set(suffix, data.length);
    if (length < padded) scratch.fill(0, length, padded)[length] = 0x80;
    const mask = length === padded ? whole : partial;
    for (let i = 0; i < BLOCK; i++) {
      const last = padded - BLOCK + i;
      scratch[last] = (scratch[last] as number) ^ (mask[i] as number);
      scratch[i] = (scratch[i] as number) ^ (previous[i] as number);
    }
    previous = cipher.update(scratch.subarray(0, padded)).subarray(padded - BLOCK);
    return previous;
  };
}
