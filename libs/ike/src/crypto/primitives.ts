import type { EncryptionAlgorithm } from "@sallyport/base";
import type { DhInfo } from "./algorithms.js";

/** HMAC of one hash as a PRF. Keys and data have any size. */
export interface PrfPrimitive {
  /** prf(key, data…) with the parts joined. */
  compute(key: Uint8Array, data: readonly Uint8Array[]): Uint8Array;
  /** prf+ of RFC 7296 §2.13; `bytes` is at most 255 outputs. */
  expand(key: Uint8Array, seed: Uint8Array, bytes: number): Uint8Array;
}

/** Key exchange for the end that needs its key pair once. */
export interface ExchangePrimitive {
  /**
   * A fresh key pair's public value, and g^ir with the peer's, which has the right size. Undefined when that is no element of the group
   * or g^ir is zero.
   */
  respond(peerValue: Uint8Array): { readonly publicValue: Uint8Array; readonly shared: Uint8Array } | undefined;
}

/** An AEAD in the frame of `BodyCipher`: associated data [0, bodyOffset), IV, text, ICV to the end. `key` has its salt behind it. */
export interface AeadPrimitive {
  seal(key: Uint8Array, message: Uint8Array, bodyOffset: number): void;
  /** Undefined when the ICV is wrong. */
  open(key: Uint8Array, message: Uint8Array, bodyOffset: number): Uint8Array | undefined;
}

/**
 * What may compute in place of node:crypto: the same octets, sooner, with keys kept no longer. Each is asked for by OpenSSL's names, and
 * undefined when it is not to be had.
 */
export interface Primitives {
  prf(hash: string): PrfPrimitive | undefined;
  exchange(group: Pick<DhInfo, "kind" | "native" | "publicBytes" | "secretBytes">): ExchangePrimitive | undefined;
  aead(encryption: EncryptionAlgorithm, keyBits: number): AeadPrimitive | undefined;
}

let used: Primitives | undefined;
const found = new Map<string, unknown>();

/**
 * Computes by `primitives` from now on, everywhere in this thread, or again by node:crypto alone. No result depends on it, which is why it
 * is no option of each engine.
 */
export function usePrimitives(primitives: Primitives | undefined): void {
  used = primitives;
  found.clear();
}

/** `make`'s answer for `name`, asked once. */
function once<T>(name: string, make: (primitives: Primitives) => T): T | undefined {
  if (!used) return undefined;
  if (!found.has(name)) found.set(name, make(used));
  return found.get(name) as T;
}

export const prfPrimitive = (hash: string) => once(hash, (primitives) => primitives.prf(hash));
export const exchangePrimitive = (info: DhInfo) => once(info.native, (primitives) => primitives.exchange(info));
export const aeadPrimitive = (encryption: EncryptionAlgorithm, keyBits: number) =>
  once(`${encryption} ${keyBits}`, (primitives) => primitives.aead(encryption, keyBits));
