import type { DhGroup, PrfAlgorithm } from "./types.js";

export interface PrfInfo {
  /** IKEv2 transform type 2 ID. */
  readonly transformId: number;
  readonly outputBytes: number;
  /** Size of SK_d, SK_pi and SK_pr: the preferred key size, RFC 7296 §2.13. */
  readonly keyBytes: number;
  /** Only 64 bits of each nonce enter SKEYSEED, RFC 7296 §2.14. */
  readonly fixedKey: boolean;
}

export const PRF: Readonly<Record<PrfAlgorithm, PrfInfo>> = {
  "hmac-md5": { transformId: 1, outputBytes: 16, keyBytes: 16, fixedKey: false },
  "hmac-sha1": { transformId: 2, outputBytes: 20, keyBytes: 20, fixedKey: false },
  "aes-xcbc": { transformId: 4, outputBytes: 16, keyBytes: 16, fixedKey: true },
  "hmac-sha2-256": { transformId: 5, outputBytes: 32, keyBytes: 32, fixedKey: false },
  "hmac-sha2-384": { transformId: 6, outputBytes: 48, keyBytes: 48, fixedKey: false },
  "hmac-sha2-512": { transformId: 7, outputBytes: 64, keyBytes: 64, fixedKey: false },
  "aes-cmac": { transformId: 8, outputBytes: 16, keyBytes: 16, fixedKey: true },
};

export interface DhInfo {
  /** IKEv2 transform type 4 ID. */
  readonly transformId: number;
  readonly kind: "modp" | "ecp" | "montgomery";
  /** Size of the KE payload's data. */
  readonly publicBytes: number;
  /** Size of g^ir. */
  readonly secretBytes: number;
  /** Size of `DhKeyPair.privateKey`; for modp twice the group's strength or more, RFC 3526 §8. */
  readonly privateBytes: number;
  /** `dear`: more than about 3 ms for one of generate and shared; belongs on a worker. */
  readonly cost: "cheap" | "dear";
  /** Names in OpenSSL. */
  readonly native: string;
}

function modp(
  transformId: number,
  native: string,
  bits: number,
  privateBytes: number,
  cost: DhInfo["cost"] = "cheap",
): DhInfo {
  return { transformId, kind: "modp", publicBytes: bits / 8, secretBytes: bits / 8, privateBytes, cost, native };
}

function ecp(transformId: number, native: string, fieldBytes: number): DhInfo {
  return {
    transformId,
    kind: "ecp",
    publicBytes: 2 * fieldBytes,
    secretBytes: fieldBytes,
    privateBytes: fieldBytes,
    cost: "cheap",
    native,
  };
}

function montgomery(transformId: number, native: string, bytes: number): DhInfo {
  return {
    transformId,
    kind: "montgomery",
    publicBytes: bytes,
    secretBytes: bytes,
    privateBytes: bytes,
    cost: "cheap",
    native,
  };
}

/** RFC 7296 appendix B (1, 2), RFC 3526 (5, 14–18), RFC 5903 (19–21), RFC 8031 (31, 32). */
export const DH: Readonly<Record<DhGroup, DhInfo>> = {
  modp768: modp(1, "modp1", 768, 32),
  modp1024: modp(2, "modp2", 1024, 32),
  modp1536: modp(5, "modp5", 1536, 32),
  modp2048: modp(14, "modp14", 2048, 32),
  modp3072: modp(15, "modp15", 3072, 36),
  modp4096: modp(16, "modp16", 4096, 42, "dear"),
  modp6144: modp(17, "modp17", 6144, 48, "dear"),
  modp8192: modp(18, "modp18", 8192, 52, "dear"),
  ecp256: ecp(19, "prime256v1", 32),
  ecp384: ecp(20, "secp384r1", 48),
  ecp521: ecp(21, "secp521r1", 66),
  x25519: montgomery(31, "x25519", 32),
  x448: montgomery(32, "x448", 56),
};

function byTransformId<N extends string>(table: Readonly<Record<N, { readonly transformId: number }>>) {
  const names = new Map((Object.keys(table) as N[]).map((name) => [table[name].transformId, name]));
  return (id: number): N | undefined => names.get(id);
}

/** Names of transform IDs; undefined for those that are not implemented. */
export const prfOf = byTransformId(PRF);
export const dhGroupOf = byTransformId(DH);
