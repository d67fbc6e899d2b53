import type { IpAddress } from "@sallyport/base";

/** IKE header, RFC 7296 §3.1. Numbers are as on the wire; `exchange` may be one that nobody here knows. */
export interface Header {
  readonly initiatorSpi: bigint;
  /** 0n in the first IKE_SA_INIT request. */
  readonly responderSpi: bigint;
  readonly exchange: number;
  /** Sent by the original initiator of the IKE SA. */
  readonly initiator: boolean;
  readonly response: boolean;
  readonly messageId: number;
}

/** Any transform attribute but Key Length; a transform that carries one is not to be chosen, RFC 7296 §3.3.6. */
export interface Attribute {
  readonly type: number;
  readonly value: Uint8Array;
}

/** RFC 7296 §3.3.2. `type` as in TRANSFORM, `id` as in ENCR, PRF_ID, INTEG, GROUP or ESN. */
export interface Transform {
  readonly type: number;
  readonly id: number;
  /** Key Length attribute in bits; absent when none was sent. */
  readonly keyBits?: number;
  readonly unknownAttributes?: readonly Attribute[];
}

/** RFC 7296 §3.3.1. */
export interface Proposal {
  readonly number: number;
  /** As in PROTOCOL. */
  readonly protocol: number;
  /** 0 or 8 octets for IKE, 4 for ESP and AH. */
  readonly spi: Uint8Array;
  readonly transforms: readonly Transform[];
}

export interface SaPayload {
  readonly kind: "SA";
  readonly proposals: readonly Proposal[];
}

export interface KePayload {
  readonly kind: "KE";
  /** As in GROUP. */
  readonly group: number;
  readonly data: Uint8Array;
}

/** RFC 7296 §3.5. Same shape for both sides. */
export interface Identification {
  /** As in ID. */
  readonly idType: number;
  readonly data: Uint8Array;
}
export interface IdiPayload extends Identification {
  readonly kind: "IDi";
}
export interface IdrPayload extends Identification {
  readonly kind: "IDr";
}

export interface CertPayload {
  readonly kind: "CERT";
  /** As in CERT_ENCODING. */
  readonly encoding: number;
  readonly data: Uint8Array;
}

export interface CertreqPayload {
  readonly kind: "CERTREQ";
  readonly encoding: number;
  /** For X509_SIGNATURE: SHA-1 hashes (20 octets each) of the trust anchors' SubjectPublicKeyInfo; see `authorityHashes`. */
  readonly data: Uint8Array;
}

export interface AuthPayload {
  readonly kind: "AUTH";
  /** As in AUTH_METHOD. */
  readonly method: number;
  readonly data: Uint8Array;
}

export interface NoncePayload {
  readonly kind: "Nonce";
  /** 16 to 256 octets. */
  readonly data: Uint8Array;
}

export interface NotifyPayload {
  readonly kind: "N";
  /** As in NOTIFY. */
  readonly type: number;
  /** As in PROTOCOL; 0 unless the notification is about an SA named by `spi`. */
  readonly protocol: number;
  readonly spi: Uint8Array;
  readonly data: Uint8Array;
}

export interface DeletePayload {
  readonly kind: "D";
  readonly protocol: number;
  /** Empty for the IKE SA; 4 octets each for ESP and AH. */
  readonly spis: readonly Uint8Array[];
}

export interface VendorPayload {
  readonly kind: "V";
  readonly data: Uint8Array;
}

/** One IPv4 or IPv6 range, RFC 7296 §3.13.1. Ports hold ICMP type and code as §3.13.1 says. OPAQUE is startPort 65535, endPort 0. */
export interface AddressSelector {
  readonly kind: "range";
  /** 0 is any. */
  readonly protocol: number;
  readonly startPort: number;
  readonly endPort: number;
  readonly start: IpAddress;
  readonly end: IpAddress;
}
/** A selector of a type that nobody here knows: never to be chosen. */
export interface RawSelector {
  readonly kind: "raw";
  readonly type: number;
  readonly protocol: number;
  readonly data: Uint8Array;
}
export type TrafficSelector = AddressSelector | RawSelector;

export interface TsiPayload {
  readonly kind: "TSi";
  readonly selectors: readonly TrafficSelector[];
}
export interface TsrPayload {
  readonly kind: "TSr";
  readonly selectors: readonly TrafficSelector[];
}

export interface ConfigAttribute {
  /** As in CFG_ATTRIBUTE. */
  readonly type: number;
  readonly value: Uint8Array;
}
export interface ConfigPayload {
  readonly kind: "CP";
  /** As in CFG. */
  readonly cfgType: number;
  readonly attributes: readonly ConfigAttribute[];
}

/** One EAP message, RFC 3748 §4. */
export interface EapPayload {
  readonly kind: "EAP";
  /** As in EAP_CODE. */
  readonly code: number;
  readonly identifier: number;
  /** Type octet and type data of a request or response; empty for success and failure. */
  readonly data: Uint8Array;
}

/** A payload of an unknown type without the critical bit: to be ignored, RFC 7296 §2.5. */
export interface UnknownPayload {
  readonly kind: "unknown";
  readonly type: number;
  readonly data: Uint8Array;
}

/** Every payload but SK and SKF. */
export type Payload =
  | SaPayload
  | KePayload
  | IdiPayload
  | IdrPayload
  | CertPayload
  | CertreqPayload
  | AuthPayload
  | NoncePayload
  | NotifyPayload
  | DeletePayload
  | VendorPayload
  | TsiPayload
  | TsrPayload
  | ConfigPayload
  | EapPayload
  | UnknownPayload;
export type PayloadKind = Payload["kind"];
export type PayloadOf<K extends PayloadKind> = Extract<Payload, { kind: K }>;

/** RFC 7383 §2.5: 1 ≤ number ≤ total. */
export interface FragmentInfo {
  readonly number: number;
  readonly total: number;
}

/** SK (RFC 7296 §3.14) or SKF (RFC 7383 §2.5) as received, still encrypted. `bytes` of the message hold everything before it. */
export interface EncryptedPayload {
  readonly kind: "SK" | "SKF";
  /** Type of the first payload inside; 0 when it is empty or in fragments after the first. */
  readonly firstPayload: number;
  /** Present in SKF only. */
  readonly fragment?: FragmentInfo;
  /** Offset in the message of the IV; all octets before it are associated data. */
  readonly bodyOffset: number;
}

/** A message as it is in the clear. All byte fields are views of `bytes`. */
export interface Message {
  readonly header: Header;
  /** Payloads outside SK or SKF. */
  readonly payloads: readonly Payload[];
  readonly encrypted?: EncryptedPayload;
  readonly bytes: Uint8Array;
}
