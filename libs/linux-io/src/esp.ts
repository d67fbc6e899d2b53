import { ENCRYPTION, type EncryptionAlgorithm, INTEGRITY, type IntegrityAlgorithm } from "@sallyport/base";
import { addon, type EspHandle } from "./addon.js";

export interface EspBatchOptions {
  readonly direction: "in" | "out";
  readonly spi: number;
  /** `key` is the cipher key followed by the salt. */
  readonly encryption: { readonly algorithm: EncryptionAlgorithm; readonly key: Uint8Array };
  /** Absent with an AEAD. */
  readonly integrity?: { readonly algorithm: IntegrityAlgorithm; readonly key: Uint8Array } | undefined;
  readonly esn: boolean;
}

const DIGEST: Partial<Record<IntegrityAlgorithm, string>> = {
  "hmac-md5-96": "MD5",
  "hmac-sha1-96": "SHA1",
  "hmac-sha2-256-128": "SHA256",
  "hmac-sha2-384-192": "SHA384",
  "hmac-sha2-512-256": "SHA512",
};

/** OpenSSL's; empty for null encryption. */
export function cipherName(algorithm: EncryptionAlgorithm, keyBits: number): string {
  switch (algorithm) {
    case "null":
      return "";
    case "3des-cbc":
      return "DES-EDE3-CBC";
    case "chacha20-poly1305":
      return "ChaCha20-Poly1305";
    case "aes-cbc":
    case "aes-ctr":
      return `${algorithm.replace("aes", `AES-${keyBits}`)}`.toUpperCase();
    default:
      return `AES-${keyBits}-GCM`;
  }
}

/**
 * ESP (RFC 4303) under one SA's keys, for whole batches in native code. It computes and nothing else: sequence numbers, replay
 * window and policy are the caller's. Key sizes must have been checked.
 */
export class EspBatch {
  readonly #handle: EspHandle;

  private constructor(handle: EspHandle) {
    this.#handle = handle;
  }

  /** Undefined when the process' OpenSSL has not got the algorithms (AES-XCBC and AES-CMAC are never here). */
  static create(options: EspBatchOptions): EspBatch | undefined {
    const { encryption, integrity, spi, esn, direction } = options;
    const info = ENCRYPTION[encryption.algorithm];
    const digest = integrity ? DIGEST[integrity.algorithm] : "";
    if (digest === undefined) return undefined;
    const keyBytes = encryption.key.length - info.saltBytes;
    const keys = Buffer.concat([encryption.key, integrity?.key ?? Buffer.alloc(0)]);
    const handle = addon().espCreate(
      cipherName(encryption.algorithm, keyBytes * 8),
      digest,
      keys,
      Uint32Array.of(
        spi,
        Number(esn),
        Number(direction === "out"),
        keyBytes,
        info.saltBytes,
        info.ivBytes,
        integrity ? INTEGRITY[integrity.algorithm].icvBytes : info.icvBytes,
        Math.max(4, info.blockBytes),
        Number(info.icvBytes > 0),
      ),
    );
    keys.fill(0);
    return handle && new EspBatch(handle);
  }

  /**
   * Seals `count` packets from record `first` on in place, under consecutive sequence numbers that begin with (`high`, `low`).
   * A packet needs 8 octets and the IV's size free before it, padding and ICV after it.
   */
  seal(slab: Uint8Array, meta: Uint32Array, first: number, count: number, high: number, low: number): void {
    addon().espSeal(this.#handle, slab, meta, first, count, high, low);
  }

  /**
   * Opens `count` packets in place. A record's `user` word holds the upper half of the sequence number before; after, the next
   * header, or `ESP_REFUSED` and a reason, with offset and length moved to the payload unless refused.
   */
  open(slab: Uint8Array, meta: Uint32Array, first: number, count: number): void {
    addon().espOpen(this.#handle, slab, meta, first, count);
  }
}

/** Outcomes of `EspBatch.open` beyond the next headers 0 to 255. */
export const ESP_REFUSED = { malformed: 0x101, integrity: 0x102, padding: 0x103 } as const;
