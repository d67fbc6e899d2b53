import {
  type CipherGCM,
  type CipherGCMTypes,
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  type DecipherGCM,
  type KeyObject,
  timingSafeEqual,
} from "node:crypto";
import { ENCRYPTION, type EncryptionAlgorithm, INTEGRITY, type IntegrityAlgorithm } from "@sallyport/base";
import { concat } from "./bytes.js";
import { mac } from "./integrity.js";
import { aeadPrimitive } from "./primitives.js";

const CTR_START = Uint8Array.of(0, 0, 0, 1);

/**
 * How a suite protects SK payloads: IV, ciphertext, ICV behind associated data, in one buffer. Offsets: associated data
 * [0, bodyOffset), IV, ciphertext, ICV to the end. Holds no key, so that all IKE SAs of a suite share one.
 */
export interface BodyCipher {
  readonly ivBytes: number;
  readonly icvBytes: number;
  /** The plaintext with its padding is a multiple of this. */
  readonly blockBytes: number;
  /** IVs must not be predictable, and not merely differ (CBC). */
  readonly randomIv: boolean;
  /** Encrypts in place: IV and plaintext are already in `message`, the ICV is written. */
  seal(keys: DirectionKeys, message: Uint8Array, bodyOffset: number): void;
  /** The plaintext with its padding; undefined when the ICV is wrong. Sizes were checked before. */
  open(keys: DirectionKeys, message: Uint8Array, bodyOffset: number): Uint8Array | undefined;
}

/** `encryption` holds cipher key and salt as key derivation gives them; `integrity` is empty with an AEAD. */
export interface DirectionKeys {
  readonly encryption: Uint8Array;
  readonly integrity: Uint8Array;
}

const known = new Map<string, BodyCipher>();

/** `keyBits` without salt. */
export function bodyCipher(
  encryption: EncryptionAlgorithm,
  keyBits: number,
  integrity: IntegrityAlgorithm | undefined,
): BodyCipher {
  const name = `${encryption} ${keyBits} ${integrity}`;
  let cipher = known.get(name);
  if (!cipher) {
    cipher = make(encryption, keyBits, integrity);
    known.set(name, cipher);
  }
  return cipher;
}

function make(encryption: EncryptionAlgorithm, keyBits: number, integrity: IntegrityAlgorithm | undefined): BodyCipher {
  if (ENCRYPTION[encryption].icvBytes > 0) return aead(encryption, keyBits);
  if (!integrity) throw new TypeError(`${encryption} needs an integrity algorithm`);
  return encryptThenMac(encryption, keyBits, integrity);
}

/**
 * A KeyObject for one message. Node takes five times as long with the octets themselves, and kept for as long as its IKE SA it would
 * hold a kilobyte of native memory.
 */
function secretOf(key: Uint8Array, keyBytes: number): KeyObject {
  return createSecretKey(key.subarray(0, keyBytes));
}

/** RFC 5282 (GCM), RFC 7634 §3 (ChaCha20-Poly1305): nonce is salt | IV. */
function aead(encryption: EncryptionAlgorithm, keyBits: number): BodyCipher {
  const { ivBytes, icvBytes, blockBytes } = ENCRYPTION[encryption];
  const keyBytes = keyBits / 8;
  // Node's types know both algorithms under different names; both take the same calls.
  const name = (encryption === "chacha20-poly1305" ? encryption : `aes-${keyBits}-gcm`) as CipherGCMTypes;
  const options = { authTagLength: icvBytes };
  const nonceOf = (key: Uint8Array, message: Uint8Array, at: number) =>
    concat(key.subarray(keyBytes), message.subarray(at, at + ivBytes));
  return {
    ivBytes,
    icvBytes,
    blockBytes,
    randomIv: false,
    seal({ encryption: key }, message, bodyOffset) {
      const primitive = aeadPrimitive(encryption, keyBits);
      if (primitive) return primitive.seal(key, message, bodyOffset);
      const nonce = nonceOf(key, message, bodyOffset);
      const cipher: CipherGCM = createCipheriv(name, secretOf(key, keyBytes), nonce, options);
      cipher.setAAD(message.subarray(0, bodyOffset));
      const start = bodyOffset + ivBytes;
      const end = message.length - icvBytes;
      message.set(cipher.update(message.subarray(start, end)), start);
      cipher.final();
      message.set(cipher.getAuthTag(), end);
    },
    open({ encryption: key }, message, bodyOffset) {
      const primitive = aeadPrimitive(encryption, keyBits);
      if (primitive) return primitive.open(key, message, bodyOffset);
      const nonce = nonceOf(key, message, bodyOffset);
      const decipher: DecipherGCM = createDecipheriv(name, secretOf(key, keyBytes), nonce, options);
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
function encryptThenMac(encryption: EncryptionAlgorithm, keyBits: number, integrity: IntegrityAlgorithm): BodyCipher {
  const { ivBytes, blockBytes } = ENCRYPTION[encryption];
  const { icvBytes } = INTEGRITY[integrity];
  const keyBytes = keyBits / 8;
  const counter = encryption === "aes-ctr";
  const mode = encryption === "3des-cbc" ? "des-ede3-cbc" : `aes-${keyBits}-${counter ? "ctr" : "cbc"}`;
  const ivOf = (key: Uint8Array, message: Uint8Array, at: number) => {
    const iv = message.subarray(at, at + ivBytes);
    return counter ? concat(key.subarray(keyBytes), iv, CTR_START) : iv;
  };
  return {
    ivBytes,
    icvBytes,
    blockBytes,
    randomIv: !counter,
    seal({ encryption: key, integrity: integrityKey }, message, bodyOffset) {
      const start = bodyOffset + ivBytes;
      const end = message.length - icvBytes;
      const cipher = createCipheriv(mode, secretOf(key, keyBytes), ivOf(key, message, bodyOffset));
      message.set(cipher.setAutoPadding(false).update(message.subarray(start, end)), start);
      message.set(mac(integrity, integrityKey)(message.subarray(0, end)), end);
    },
    open({ encryption: key, integrity: integrityKey }, message, bodyOffset) {
      const end = message.length - icvBytes;
      const icv = mac(integrity, integrityKey)(message.subarray(0, end));
      if (!timingSafeEqual(icv, message.subarray(end))) return undefined;
      const decipher = createDecipheriv(mode, secretOf(key, keyBytes), ivOf(key, message, bodyOffset));
      return decipher.setAutoPadding(false).update(message.subarray(bodyOffset + ivBytes, end));
    },
  };
}
