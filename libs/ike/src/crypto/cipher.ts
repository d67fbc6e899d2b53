import {
  type CipherGCM,
  type CipherGCMTypes,
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  type DecipherGCM,
  timingSafeEqual,
} from "node:crypto";
import { ENCRYPTION, type EncryptionAlgorithm, INTEGRITY, type IntegrityAlgorithm } from "@sallyport/base";
import { concat } from "./bytes.js";
import { mac } from "./integrity.js";

const CTR_START = Uint8Array.of(0, 0, 0, 1);

/**
 * One direction of an SK payload: IV, ciphertext, ICV behind associated data, in one buffer.
 * Offsets: associated data [0, bodyOffset), IV, ciphertext, ICV to the end.
 */
export interface BodyCipher {
  readonly ivBytes: number;
  readonly icvBytes: number;
  /** The plaintext with its padding is a multiple of this. */
  readonly blockBytes: number;
  /** IVs must not be predictable, and not merely differ (CBC). */
  readonly randomIv: boolean;
  /** Encrypts in place: IV and plaintext are already in `message`, the ICV is written. */
  seal(message: Uint8Array, bodyOffset: number): void;
  /** The plaintext with its padding; undefined when the ICV is wrong. Sizes were checked before. */
  open(message: Uint8Array, bodyOffset: number): Uint8Array | undefined;
}

/** `key` holds cipher key and salt as key derivation gives them. */
export function bodyCipher(
  encryption: EncryptionAlgorithm,
  key: Uint8Array,
  integrity: IntegrityAlgorithm | undefined,
  integrityKey: Uint8Array,
): BodyCipher {
  if (ENCRYPTION[encryption].icvBytes > 0) return aead(encryption, key);
  if (!integrity) throw new TypeError(`${encryption} needs an integrity algorithm`);
  return encryptThenMac(encryption, key, integrity, integrityKey);
}

/** RFC 5282 (GCM), RFC 7634 §3 (ChaCha20-Poly1305): nonce is salt | IV. */
function aead(encryption: EncryptionAlgorithm, key: Uint8Array): BodyCipher {
  const { saltBytes, ivBytes, icvBytes, blockBytes } = ENCRYPTION[encryption];
  const secret = createSecretKey(key.subarray(0, key.length - saltBytes));
  const salt = key.subarray(key.length - saltBytes);
  const keyBits = 8 * (key.length - saltBytes);
  // Node's types know both algorithms under different names; both take the same calls.
  const name = (encryption === "chacha20-poly1305" ? encryption : `aes-${keyBits}-gcm`) as CipherGCMTypes;
  const options = { authTagLength: icvBytes };
  const nonceOf = (message: Uint8Array, at: number) => concat(salt, message.subarray(at, at + ivBytes));
  return {
    ivBytes,
    icvBytes,
    blockBytes,
    randomIv: false,
    seal(message, bodyOffset) {
      const cipher: CipherGCM = createCipheriv(name, secret, nonceOf(message, bodyOffset), options);
      cipher.setAAD(message.subarray(0, bodyOffset));
      const start = bodyOffset + ivBytes;
      const end = message.length - icvBytes;
      message.set(cipher.update(message.subarray(start, end)), start);
      cipher.final();
      message.set(cipher.getAuthTag(), end);
    },
    open(message, bodyOffset) {
      const decipher: DecipherGCM = createDecipheriv(name, secret, nonceOf(message, bodyOffset), options);
      const end = message.length - icvBytes;
      decipher.setAAD(message.subarray(0, bodyOffset)).setAuthTag(message.subarray(end));
      const plaintext = decipher.update(message.subarray(bodyOffset + ivBytes, end));
      try {
        decipher.final();
      } catch {
        return undefined;
      }
      return plaintext;
    },
  };
}

/** RFC 7296 §3.14; CTR: RFC 5930. The ICV covers the whole message before it. */
function encryptThenMac(
  encryption: EncryptionAlgorithm,
  key: Uint8Array,
  integrity: IntegrityAlgorithm,
  integrityKey: Uint8Array,
): BodyCipher {
  const { saltBytes, ivBytes, blockBytes } = ENCRYPTION[encryption];
  const { icvBytes } = INTEGRITY[integrity];
  const secret = createSecretKey(key.subarray(0, key.length - saltBytes));
  const salt = key.subarray(key.length - saltBytes);
  const counter = encryption === "aes-ctr";
  const mode =
    encryption === "3des-cbc" ? "des-ede3-cbc" : `aes-${8 * (key.length - saltBytes)}-${counter ? "ctr" : "cbc"}`;
  const icv = mac(integrity, integrityKey);
  const ivOf = (message: Uint8Array, at: number) => {
    const iv = message.subarray(at, at + ivBytes);
    return counter ? concat(salt, iv, CTR_START) : iv;
  };
  return {
    ivBytes,
    icvBytes,
    blockBytes,
    randomIv: !counter,
    seal(message, bodyOffset) {
      const start = bodyOffset + ivBytes;
      const end = message.length - icvBytes;
      const cipher = createCipheriv(mode, secret, ivOf(message, bodyOffset)).setAutoPadding(false);
      message.set(cipher.update(message.subarray(start, end)), start);
      message.set(icv(message.subarray(0, end)), end);
    },
    open(message, bodyOffset) {
      const end = message.length - icvBytes;
      if (!timingSafeEqual(icv(message.subarray(0, end)), message.subarray(end))) return undefined;
      const decipher = createDecipheriv(mode, secret, ivOf(message, bodyOffset)).setAutoPadding(false);
      return decipher.update(message.subarray(bodyOffset + ivBytes, end));
    },
  };
}
