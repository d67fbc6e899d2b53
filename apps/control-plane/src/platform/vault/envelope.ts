import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { fault } from "../faults.js";

/**
 * Layout of sealed data, in octets: version 1 | nonce 12 | data key wrapped 32 | tag 16 | nonce 12 | ciphertext | tag 16.
 * Both layers are AES-256-GCM; the context is authenticated by both, so that a sealed value opens only where it was put.
 */
const VERSION = 1;
const NONCE = 12;
const TAG = 16;
const KEY = 32;
const HEADER = 1 + NONCE + KEY + TAG;

function encrypt(key: Uint8Array, context: string, plain: Uint8Array): Buffer {
  const nonce = randomBytes(NONCE);
  const cipher = createCipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG }).setAAD(Buffer.from(context));
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

function decrypt(key: Uint8Array, context: string, sealed: Uint8Array): Buffer {
  const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, NONCE), { authTagLength: TAG })
    .setAAD(Buffer.from(context))
    .setAuthTag(sealed.subarray(sealed.length - TAG));
  return Buffer.concat([decipher.update(sealed.subarray(NONCE, sealed.length - TAG)), decipher.final()]);
}

/** Seals `plain` under a fresh data key, which `masterKey` (32 octets) wraps. */
export function seal(masterKey: Uint8Array, context: string, plain: Uint8Array): Uint8Array<ArrayBuffer> {
  const dataKey = randomBytes(KEY);
  try {
    return new Uint8Array(
      Buffer.concat([Uint8Array.of(VERSION), encrypt(masterKey, context, dataKey), encrypt(dataKey, context, plain)]),
    );
  } finally {
    dataKey.fill(0);
  }
}

/** @throws platform/unsealable */
export function unseal(masterKey: Uint8Array, context: string, sealed: Uint8Array): Buffer {
  if (sealed[0] !== VERSION || sealed.length < HEADER + NONCE + TAG) {
    throw fault("platform/unsealable", `${context}: not a sealed value`);
  }
  try {
    const dataKey = decrypt(masterKey, context, sealed.subarray(1, HEADER));
    const plain = decrypt(dataKey, context, sealed.subarray(HEADER));
    dataKey.fill(0);
    return plain;
  } catch (cause) {
    throw fault("platform/unsealable", `${context}: sealed with another key, for another place, or changed`, { cause });
  }
}
