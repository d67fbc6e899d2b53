import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from "node:crypto";
import type { EncryptionAlgorithm } from "@sallyport/base";

/**
 * A cipher without authentication, on the IV and ciphertext of one packet, in place.
 * `region` is IV ‖ text; sequence halves make the IV, so that none is used twice under one key.
 */
export interface PlainCipher {
  seal(region: Uint8Array, high: number, low: number): void;
  open(region: Uint8Array): void;
}

/** An AEAD on one packet, in place. `region` is IV ‖ text ‖ ICV. */
export interface AeadCipher {
  seal(region: Uint8Array, aad: Uint8Array, high: number, low: number): void;
  /** False when the ICV is wrong; then `region` still holds ciphertext. */
  open(region: Uint8Array, aad: Uint8Array): boolean;
}

export function putU32(target: Uint8Array, at: number, value: number): void {
  target[at] = value >>> 24;
  target[at + 1] = value >>> 16;
  target[at + 2] = value >>> 8;
  target[at + 3] = value;
}

export function createPlainCipher(
  algorithm: EncryptionAlgorithm,
  key: Uint8Array,
  salt: Uint8Array,
): PlainCipher | undefined {
  switch (algorithm) {
    case "null":
      return undefined; // RFC 2410
    case "aes-cbc":
      return cbc(`aes-${key.length * 8}-cbc`, key, 16);
    case "3des-cbc":
      return cbc("des-ede3-cbc", key, 8);
    case "aes-ctr":
      return ctr(key, salt);
    default:
      throw new TypeError(`${algorithm} authenticates: it is not a plain cipher`);
  }
}

/**
 * CBC with one cipher object for all packets. A leading block sets the chain: on sending it is the sequence number
 * masked so that the cipher turns it into E(K, sequence), an unpredictable IV (NIST SP 800-38A, appendix C);
 * on receipt it is the received IV, whose own decryption is thrown away.
 */
function cbc(name: string, key: Uint8Array, block: number): PlainCipher {
  const secret = createSecretKey(key);
  const zero = new Uint8Array(block);
  const encrypt = createCipheriv(name, secret, zero).setAutoPadding(false);
  const decrypt = createDecipheriv(name, secret, zero).setAutoPadding(false);
  let previous: Uint8Array = zero;
  return {
    seal(region, high, low) {
      region.fill(0, 0, block);
      putU32(region, block - 8, high);
      putU32(region, block - 4, low);
      for (let i = 0; i < block; i++) region[i] = (region[i] as number) ^ (previous[i] as number);
      const out = encrypt.update(region);
      previous = out.subarray(out.length - block);
      region.set(out);
    },
    open(region) {
      region.set(decrypt.update(region).subarray(block), block);
    },
  };
}

/** RFC 3686: nonce (from the keying material) ‖ IV ‖ block counter from 1. */
function ctr(key: Uint8Array, salt: Uint8Array): PlainCipher {
  const name = `aes-${key.length * 8}-ctr`;
  const secret = createSecretKey(key);
  const counter = new Uint8Array(16);
  counter.set(salt);
  counter[15] = 1;
  const apply = (region: Uint8Array) => {
    counter.set(region.subarray(0, 8), 4);
    region.set(createCipheriv(name, secret, counter).update(region.subarray(8)), 8);
  };
  return {
    seal(region, high, low) {
      putU32(region, 0, high);
      putU32(region, 4, low);
      apply(region);
    },
    open: apply,
  };
}

type AeadName = "aes-128-gcm" | "aes-192-gcm" | "aes-256-gcm" | "chacha20-poly1305";

/** AES-GCM (RFC 4106) and ChaCha20-Poly1305 (RFC 7634): nonce = salt ‖ IV, the IV being the sequence number. */
export function createAeadCipher(
  algorithm: EncryptionAlgorithm,
  key: Uint8Array,
  salt: Uint8Array,
  icvBytes: number,
): AeadCipher {
  const name = (
    algorithm === "chacha20-poly1305" ? "chacha20-poly1305" : `aes-${key.length * 8}-gcm`
  ) as "aes-256-gcm" & AeadName;
  const secret: KeyObject = createSecretKey(key);
  const options = { authTagLength: icvBytes };
  const nonce = new Uint8Array(12);
  nonce.set(salt);
  return {
    seal(region, aad, high, low) {
      putU32(region, 0, high);
      putU32(region, 4, low);
      nonce.set(region.subarray(0, 8), 4);
      const end = region.length - icvBytes;
      const cipher = createCipheriv(name, secret, nonce, options);
      cipher.setAAD(aad);
      region.set(cipher.update(region.subarray(8, end)), 8);
      cipher.final();
      region.set(cipher.getAuthTag(), end);
    },
    open(region, aad) {
      nonce.set(region.subarray(0, 8), 4);
      const end = region.length - icvBytes;
      const decipher = createDecipheriv(name, secret, nonce, options);
      decipher.setAAD(aad);
      decipher.setAuthTag(region.subarray(end));
      const text = decipher.update(region.subarray(8, end));
      try {
        decipher.final();
      } catch {
        return false;
      }
      region.set(text, 8);
      return true;
    },
  };
}
