import type { EncryptionAlgorithm, IntegrityAlgorithm, Rng } from "@sallyport/base";
import type { Header, Message, Payload } from "../wire/types.js";

export type PrfAlgorithm =
  | "hmac-md5"
  | "hmac-sha1"
  | "hmac-sha2-256"
  | "hmac-sha2-384"
  | "hmac-sha2-512"
  | "aes-xcbc"
  | "aes-cmac";

export type DhGroup =
  | "modp768"
  | "modp1024"
  | "modp1536"
  | "modp2048"
  | "modp3072"
  | "modp4096"
  | "modp6144"
  | "modp8192"
  | "ecp256"
  | "ecp384"
  | "ecp521"
  | "x25519"
  | "x448";

/** Algorithms of an IKE SA. */
export interface IkeSuite {
  readonly encryption: EncryptionAlgorithm;
  readonly keyBits: number;
  /** Absent exactly when `encryption` is an AEAD. */
  readonly integrity?: IntegrityAlgorithm;
  readonly prf: PrfAlgorithm;
  readonly group: DhGroup;
}

/** Algorithms of a CHILD SA. */
export interface ChildSuite {
  readonly protocol: "esp" | "ah";
  /** Absent for AH. */
  readonly encryption?: EncryptionAlgorithm;
  /** 0 for AH and null encryption. */
  readonly keyBits: number;
  readonly integrity?: IntegrityAlgorithm;
  /** Present when this CHILD SA had a key exchange of its own. */
  readonly group?: DhGroup;
  readonly esn: boolean;
}

/** A key pair of one exchange. Plain data: may be sent to a worker. `privateKey` is secret. */
export interface DhKeyPair {
  readonly group: DhGroup;
  /** What goes into the KE payload. */
  readonly publicValue: Uint8Array;
  readonly privateKey: Uint8Array;
}

/** The seven keys of an IKE SA, RFC 7296 §2.14. Encryption keys include their salt. */
export interface IkeKeys {
  readonly d: Uint8Array;
  readonly ai: Uint8Array;
  readonly ar: Uint8Array;
  readonly ei: Uint8Array;
  readonly er: Uint8Array;
  readonly pi: Uint8Array;
  readonly pr: Uint8Array;
}

export interface IkeKeyInput {
  readonly suite: IkeSuite;
  /** g^ir of this exchange. */
  readonly sharedSecret: Uint8Array;
  /** Nonce data without payload header, of this exchange's initiator and responder. */
  readonly ni: Uint8Array;
  readonly nr: Uint8Array;
  readonly initiatorSpi: bigint;
  readonly responderSpi: bigint;
}
/** RFC 7296 §2.18: SKEYSEED comes from the old SK_d by the old SA's PRF. */
export interface IkeRekeyInput extends IkeKeyInput {
  readonly oldD: Uint8Array;
  readonly oldPrf: PrfAlgorithm;
}

/** Keys of one direction of a CHILD SA. `encryption` includes the salt; empty when there is none. */
export interface ChildDirectionKeys {
  readonly encryption: Uint8Array;
  readonly integrity: Uint8Array;
}
export interface ChildKeys {
  /** From the initiator of the exchange that made the CHILD SA to its responder. */
  readonly initiator: ChildDirectionKeys;
  readonly responder: ChildDirectionKeys;
}
export interface ChildKeyInput {
  readonly suite: ChildSuite;
  readonly prf: PrfAlgorithm;
  readonly d: Uint8Array;
  readonly ni: Uint8Array;
  readonly nr: Uint8Array;
  /** g^ir (new) of a CREATE_CHILD_SA with PFS. */
  readonly sharedSecret?: Uint8Array;
}

/** What one side signs, RFC 7296 §2.15: its first message, the other's nonce, MACed identity. */
export interface AuthOctetsInput {
  readonly prf: PrfAlgorithm;
  /** The signer's IKE_SA_INIT message as sent (the whole datagram from the header on). */
  readonly message: Uint8Array;
  /** Nonce data of the other side. */
  readonly nonce: Uint8Array;
  /** SK_pi when the original initiator signs, else SK_pr. */
  readonly skP: Uint8Array;
  /** The signer's ID payload. */
  readonly idType: number;
  readonly idData: Uint8Array;
}

export type SignatureHash = "sha1" | "sha256" | "sha384" | "sha512" | "identity";

/** How AUTH is signed: plain data chosen by the engine, executed by `signAuth`. */
export interface SignatureScheme {
  /** As in AUTH_METHOD: 1, 9, 10, 11 or 14. */
  readonly method: number;
  readonly key: "rsa" | "rsa-pss" | "ec" | "ed25519" | "ed448";
  readonly hash: SignatureHash;
  /** Named curve for `ec`: P-256, P-384 or P-521; absent otherwise. */
  readonly curve?: EcCurve;
}
export type EcCurve = "P-256" | "P-384" | "P-521";

/**
 * A signature as configurations name it: `rsa-…` PKCS#1 v1.5, `rsa-pss-…`, `ecdsa-…` by hash and EdDSA with RFC 7427; `rsa`,
 * `ecdsa-256`, `ecdsa-384` and `ecdsa-521` are the methods before it (1, 9, 10, 11).
 */
export type SignatureName =
  | `${"rsa" | "rsa-pss" | "ecdsa"}-${"sha256" | "sha384" | "sha512"}`
  | "ed25519"
  | "ed448"
  | "rsa"
  | "ecdsa-256"
  | "ecdsa-384"
  | "ecdsa-521";

/** What is known about a key without holding it. */
export type KeyKind =
  | { readonly type: "rsa" | "rsa-pss"; readonly bits: number }
  | { readonly type: "ec"; readonly curve: EcCurve }
  | { readonly type: "ed25519" }
  | { readonly type: "ed448" };

/** What a verifier accepts. */
export interface SignaturePolicy {
  /** All that are known unless said. */
  readonly accepted?: readonly SignatureName[] | undefined;
  /** Smallest RSA modulus in bits; 2048 unless said. */
  readonly minRsaBits?: number;
  /** SHA-1: unless said, accepted in method 1 (which knows no other hash) and refused in method 14. */
  readonly allowSha1?: boolean;
}

/** Protects and opens messages of one IKE SA, for one end of it. */
export interface SkProtector {
  /**
   * A message with all of `payloads` inside SK. `rng` gives the IV of CBC ciphers and the start of the counter that makes all
   * others: it never repeats for one protector, so keep one protector as long as its keys live.
   */
  seal(header: Header, payloads: readonly Payload[], rng: Rng): Uint8Array;
  /** The same cut into SKF messages of at most `maxBytes` octets each (RFC 7383 §2.5); one SK message when it fits. */
  sealFragments(header: Header, payloads: readonly Payload[], rng: Rng, maxBytes: number): Uint8Array[];
  /**
   * The plaintext of the peer's SK or SKF without padding. Fault `ike/integrity` for whatever is wrong with it;
   * the ICV is checked first, in constant time.
   */
  open(message: Message): Uint8Array;
  /** Octets that protection adds at most to a message (for fragment sizes). */
  readonly overhead: number;
  /** Overwrites the keys; nothing can be sealed or opened any more. */
  wipe(): void;
}

/** The end entity certificate by which a peer has proved itself. */
export interface PeerCertificate {
  /** Text of its subject, for status and logs. */
  readonly subject: string;
  /** SHA-256 of its DER, lower-case hex. */
  readonly fingerprint: string;
  /** `TrustAnchor.ref` at which its path ends; absent where that is not told. */
  readonly anchor?: string;
  /** Mailboxes and DNS names that it proves: who a caller is that names itself by the subject. */
  readonly names?: readonly string[];
}
