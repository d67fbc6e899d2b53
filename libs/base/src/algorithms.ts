/**
 * The algorithms of ESP and AH SAs, by the names that every library of the project uses, with their sizes.
 * IANA "Internet Key Exchange Version 2 (IKEv2) Parameters"; RFC 8221.
 */
export type EncryptionAlgorithm =
  | "null"
  | "3des-cbc"
  | "aes-cbc"
  | "aes-ctr"
  | "aes-gcm-8"
  | "aes-gcm-12"
  | "aes-gcm-16"
  | "chacha20-poly1305";

export type IntegrityAlgorithm =
  | "hmac-md5-96"
  | "hmac-sha1-96"
  | "hmac-sha2-256-128"
  | "hmac-sha2-384-192"
  | "hmac-sha2-512-256"
  | "aes-xcbc-96"
  | "aes-cmac-96";

export interface EncryptionInfo {
  /** IKEv2 transform type 1 ID. */
  readonly transformId: number;
  /** Key sizes in bits, without salt; a single entry means that no Key Length attribute is sent. */
  readonly keyBits: readonly number[];
  /** Whether the Key Length attribute is negotiated (RFC 7296 §3.3.5). */
  readonly keyLengthAttribute: boolean;
  /** Octets of keying material that follow the key (salt or nonce). */
  readonly saltBytes: number;
  readonly ivBytes: number;
  readonly blockBytes: number;
  /** ICV octets when the algorithm authenticates too (AEAD), else 0. */
  readonly icvBytes: number;
}

const AES_BITS = [128, 192, 256] as const;

export const ENCRYPTION: Readonly<Record<EncryptionAlgorithm, EncryptionInfo>> = {
  "3des-cbc": {
    transformId: 3,
    keyBits: [192],
    keyLengthAttribute: false,
    saltBytes: 0,
    ivBytes: 8,
    blockBytes: 8,
    icvBytes: 0,
  },
  null: {
    transformId: 11,
    keyBits: [0],
    keyLengthAttribute: false,
    saltBytes: 0,
    ivBytes: 0,
    blockBytes: 1,
    icvBytes: 0,
  },
  "aes-cbc": {
    transformId: 12,
    keyBits: AES_BITS,
    keyLengthAttribute: true,
    saltBytes: 0,
    ivBytes: 16,
    blockBytes: 16,
    icvBytes: 0,
  },
  "aes-ctr": {
    transformId: 13,
    keyBits: AES_BITS,
    keyLengthAttribute: true,
    saltBytes: 4,
    ivBytes: 8,
    blockBytes: 1,
    icvBytes: 0,
  },
  "aes-gcm-8": {
    transformId: 18,
    keyBits: AES_BITS,
    keyLengthAttribute: true,
    saltBytes: 4,
    ivBytes: 8,
    blockBytes: 1,
    icvBytes: 8,
  },
  "aes-gcm-12": {
    transformId: 19,
    keyBits: AES_BITS,
    keyLengthAttribute: true,
    saltBytes: 4,
    ivBytes: 8,
    blockBytes: 1,
    icvBytes: 12,
  },
  "aes-gcm-16": {
    transformId: 20,
    keyBits: AES_BITS,
    keyLengthAttribute: true,
    saltBytes: 4,
    ivBytes: 8,
    blockBytes: 1,
    icvBytes: 16,
  },
  "chacha20-poly1305": {
    transformId: 28,
    keyBits: [256],
    keyLengthAttribute: false,
    saltBytes: 4,
    ivBytes: 8,
    blockBytes: 1,
    icvBytes: 16,
  },
};

export interface IntegrityInfo {
  /** IKEv2 transform type 3 ID. */
  readonly transformId: number;
  readonly keyBytes: number;
  readonly icvBytes: number;
}

export const INTEGRITY: Readonly<Record<IntegrityAlgorithm, IntegrityInfo>> = {
  "hmac-md5-96": { transformId: 1, keyBytes: 16, icvBytes: 12 },
  "hmac-sha1-96": { transformId: 2, keyBytes: 20, icvBytes: 12 },
  "aes-xcbc-96": { transformId: 5, keyBytes: 16, icvBytes: 12 },
  "aes-cmac-96": { transformId: 8, keyBytes: 16, icvBytes: 12 },
  "hmac-sha2-256-128": { transformId: 12, keyBytes: 32, icvBytes: 16 },
  "hmac-sha2-384-192": { transformId: 13, keyBytes: 48, icvBytes: 24 },
  "hmac-sha2-512-256": { transformId: 14, keyBytes: 64, icvBytes: 32 },
};
