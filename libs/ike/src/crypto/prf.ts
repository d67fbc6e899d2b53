import { Buffer } from "node:buffer";
import { hash } from "node:crypto";
import { aesCmac, aesXcbc } from "./aes-mac.js";
import { PRF } from "./algorithms.js";
import { concat } from "./bytes.js";
import { prfPrimitive } from "./primitives.js";
import type { PrfAlgorithm } from "./types.js";

/** Hash and its block size in octets. */
const HMAC_HASH: Partial<Record<PrfAlgorithm, readonly [name: string, blockBytes: number]>> = {
  "hmac-md5": ["md5", 64],
  "hmac-sha1": ["sha1", 64],
  "hmac-sha2-256": ["sha256", 64],
  "hmac-sha2-384": ["sha384", 128],
  "hmac-sha2-512": ["sha512", 128],
};
const DIGEST_BYTES_MAX = 64;
const AES_KEY_BYTES = 16;

/** A PRF with its key made ready, for several calls. */
type KeyedPrf = (...data: readonly Uint8Array[]) => Uint8Array;

function keyed(algorithm: PrfAlgorithm, key: Uint8Array): KeyedPrf {
  const hmac = HMAC_HASH[algorithm];
  if (hmac) return keyedHmac(...hmac, key);
  const fixed = algorithm === "aes-xcbc" ? xcbcKey(key) : cmacKey(key);
  const mac = algorithm === "aes-xcbc" ? aesXcbc : aesCmac;
  return (...data) => mac(fixed, concat(...data));
}

/**
 * RFC 2104 from two one-shot digests: an Hmac of node:crypto costs more to make and to collect than both. Digests come as strings
 * because node:crypto hands those over several times faster than Buffers.
 */
function keyedHmac(name: string, blockBytes: number, key: Uint8Array): KeyedPrf {
  const short = key.length > blockBytes ? Buffer.from(hash(name, key, "binary"), "binary") : key;
  const inner = new Uint8Array(blockBytes).fill(0x36);
  const outer = Buffer.alloc(blockBytes + DIGEST_BYTES_MAX, 0x5c);
  for (let i = 0; i < short.length; i++) {
    const octet = short[i] as number;
    inner[i] = octet ^ 0x36;
    outer[i] = octet ^ 0x5c;
  }
  return (...data) => {
    let size = blockBytes;
    for (const part of data) size += part.length;
    const message = Buffer.allocUnsafe(size);
    message.set(inner);
    let at = blockBytes;
    for (const part of data) {
      message.set(part, at);
      at += part.length;
    }
    const end = blockBytes + outer.write(hash(name, message, "binary"), blockBytes, "binary");
    return Buffer.from(hash(name, outer.subarray(0, end), "binary"), "binary");
  };
}

/** RFC 4434 §2: shorter keys are padded with zeros, longer ones are hashed with a zero key. */
function xcbcKey(key: Uint8Array): Uint8Array {
  if (key.length > AES_KEY_BYTES) return aesXcbc(new Uint8Array(AES_KEY_BYTES), key);
  const padded = new Uint8Array(AES_KEY_BYTES);
  padded.set(key);
  return padded;
}

/** RFC 4615 §3: any other size is hashed with a zero key. */
function cmacKey(key: Uint8Array): Uint8Array {
  return key.length === AES_KEY_BYTES ? key : aesCmac(new Uint8Array(AES_KEY_BYTES), key);
}

function primitiveOf(algorithm: PrfAlgorithm) {
  const hmac = HMAC_HASH[algorithm];
  return hmac && prfPrimitive(hmac[0]);
}

/** prf(key, data…) with the parts of `data` joined. */
export function prf(algorithm: PrfAlgorithm, key: Uint8Array, ...data: readonly Uint8Array[]): Uint8Array {
  return primitiveOf(algorithm)?.compute(key, data) ?? keyed(algorithm, key)(...data);
}

/** prf+ of RFC 7296 §2.13; at most 255 outputs of the PRF. */
export function prfPlus(algorithm: PrfAlgorithm, key: Uint8Array, seed: Uint8Array, bytes: number): Uint8Array {
  const size = PRF[algorithm].outputBytes;
  const rounds = Math.ceil(bytes / size);
  if (rounds > 255) throw new RangeError(`prf+ gives at most ${255 * size} octets, not ${bytes}`);
  const primitive = primitiveOf(algorithm);
  if (primitive) return primitive.expand(key, seed, bytes);
  const f = keyed(algorithm, key);
  const out = new Uint8Array(rounds * size);
  let last: Uint8Array = new Uint8Array(0);
  for (let n = 1; n <= rounds; n++) {
    last = f(last, seed, Uint8Array.of(n));
    out.set(last, (n - 1) * size);
  }
  return out.subarray(0, bytes);
}
