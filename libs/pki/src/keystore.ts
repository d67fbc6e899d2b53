import { randomUUID } from "node:crypto";
import { fault } from "./faults.js";
import { generateKeys, type KeyKind, spkiOf } from "./keys.js";
import { signWith } from "./signature.js";

/** A private key that stays in its store, by what it may be known by. */
export interface KeyHandle {
  /** Names the key in its store; means nothing elsewhere. */
  readonly ref: string;
  readonly kind: KeyKind;
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array;
}

/**
 * Where the private keys of CAs are. An implementation owes:
 * - `generate` makes the key inside; no method gives a private key out;
 * - a key that `generate` returned survives a restart, unless the implementation says that it is for tests;
 * - `sign` signs with the scheme of the key's kind: RSA as PKCS#1 v1.5 with SHA-256; ECDSA as r‖s of equal lengths with the hash of
 *   the curve's size (SHA-256, SHA-384, SHA-512); EdDSA pure. An unknown `ref` is `pki/unknown-key`;
 * - calls may run at the same time; `destroy` of an unknown key does nothing.
 */
export interface KeyStore {
  generate(kind: KeyKind): Promise<KeyHandle>;
  sign(key: KeyHandle, data: Uint8Array): Promise<Uint8Array>;
  destroy(ref: string): Promise<void>;
}

/** Keeps keys in this process's memory and forgets them with it: for tests, and for keys that need not outlive the process. */
export class MemoryKeyStore implements KeyStore {
  readonly #keys = new Map<string, Awaited<ReturnType<typeof generateKeys>>["privateKey"]>();

  async generate(kind: KeyKind): Promise<KeyHandle> {
    const { publicKey, privateKey } = await generateKeys(kind);
    const ref = randomUUID();
    this.#keys.set(ref, privateKey);
    return { ref, kind, spki: spkiOf(publicKey) };
  }

  async sign(key: KeyHandle, data: Uint8Array): Promise<Uint8Array> {
    const privateKey = this.#keys.get(key.ref);
    if (privateKey === undefined) throw fault("pki/unknown-key", `no key ${key.ref} in this store`);
    return signWith(privateKey, key.kind, data);
  }

  async destroy(ref: string): Promise<void> {
    this.#keys.delete(ref);
  }
}
